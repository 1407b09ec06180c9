"""Web addresses that may be fetched, and the network addresses they lead to.

A list of songs may come from anybody, and so may a redirection. Neither may make this machine talk
to itself, to its local network or to a cloud's metadata service, nor hand over credentials.
"""

import contextlib
import ipaddress
import re
import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from melodai.errors import DownloadError
from melodai_studies.download.rules import Rules

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# IPv6 addresses in which an IPv4 address is wrapped that the packets end at.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Address(NamedTuple):
    """A web address that has been checked.

    Attributes:
        url: without the fragment, in ASCII.
        host: in ASCII and lower case, IPv6 without brackets.
        target: path and query, as they are sent.
    """

    url: str
    scheme: str
    host: str
    port: int
    target: str


class TemporaryError(DownloadError):
    """A failure that may be gone at the next attempt.

    Attributes:
        wait_seconds: how long the server asks to wait, if it does.
    """

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


def parse_address(url: str, rules: Rules) -> Address:
    """Takes a URL apart.

    Raises:
        DownloadError: it is no https address (nor http, where that is allowed), or holds
            credentials, control characters or a host in disguise.
    """
    shown = repr(url if len(url) <= 200 else url[:200] + "…")
    if "\\" in url or any(unicodedata.category(letter) == "Cc" for letter in url):
        raise DownloadError(f"{shown} holds characters that no URL has")
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise DownloadError(f"{shown} is not a URL: {error}") from error
    if parts.scheme not in ("https", "http"):
        raise DownloadError(f"{shown}: only https addresses are fetched")
    if parts.scheme == "http" and not rules.allow_http:
        raise DownloadError(
            f"{shown} is plain http, which anybody on the way can change; use https or --allow-http"
        )
    if parts.username is not None or parts.password is not None:
        raise DownloadError(f"the URL at {host!r} holds a user name or password; leave it out")
    host = _checked_host(host, shown)
    default = 443 if parts.scheme == "https" else 80
    port = default if port is None else port
    if port == 0:
        raise DownloadError(f"{shown}: there is no port 0")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~[]")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~[]?")
    name = f"[{host}]" if ":" in host else host
    place = name if port == default else f"{name}:{port}"
    return Address(f"{parts.scheme}://{place}{target}", parts.scheme, host, port, target)


def redirected(address: Address, location: str | None, rules: Rules) -> Address:
    """Where a redirection leads; checked like the first address.

    Raises:
        DownloadError: it leads nowhere, or from https to something less.
    """
    if not location:
        raise DownloadError("the server redirects, but not where to")
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")  # as browsers take it
    try:
        there = urljoin(address.url, location)
    except ValueError as error:
        raise DownloadError(f"the server redirects to {location[:200]!r}") from error
    try:
        new = parse_address(there, rules)
    except DownloadError as error:
        raise DownloadError(f"the server redirects to what is refused: {error}") from None
    if address.scheme == "https" and new.scheme != "https":
        raise DownloadError(f"the server redirects from https to {new.url}; that is refused")
    return new


def resolve(address: Address, rules: Rules) -> list[IPv4Address | IPv6Address]:
    """The network addresses of the host, all of them allowed; connect to these and no others.

    Raises:
        TemporaryError: the name cannot be resolved now.
        DownloadError: one of them is not of the public internet, and `allow_private` is not set.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TemporaryError(f"{address.host} is not found: {reason}") from error
    places = list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
    for place in places:
        if not rules.allow_private and not is_public(place):
            leads = "" if address.host == str(place) else f"{address.host} leads to "
            raise DownloadError(
                f"{leads}{place}, which is not of the public internet; refused without "
                "--allow-private"
            )
    return places


def is_public(place: IPv4Address | IPv6Address) -> bool:
    """Whether it is of the public internet, also in what it may wrap."""
    if isinstance(place, IPv4Address):
        return place.is_global and not place.is_multicast and not place.is_reserved
    if place.ipv4_mapped is not None:
        return is_public(place.ipv4_mapped)
    if place in _NAT64:
        return is_public(IPv4Address(int(place) & 0xFFFFFFFF))
    if place.sixtofour is not None:
        return is_public(place.sixtofour)
    return place in _GLOBAL_UNICAST and place.is_global and not place.is_multicast


def _checked_host(host: str, shown: str) -> str:
    if not host:
        raise DownloadError(f"{shown} names no host")
    if ":" in host:
        try:
            place = IPv6Address(host)
        except ValueError:
            raise DownloadError(f"{shown}: that is no address") from None
        if place.scope_id is None:
            return str(place)
    else:
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            host = ""
        # 2130706433, 0177.1 and 0x7f.0.0.1 are all 127.0.0.1 to some and not to others.
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            try:
                return str(IPv4Address(host))
            except ValueError:
                raise DownloadError(
                    f"{shown}: write a numeric address as four numbers from 0 to 255"
                ) from None
        if _HOST.fullmatch(host):
            return host
    raise DownloadError(f"{shown}: that is no name of a host")
