"""An HTTP client for addresses that strangers wrote: public ones only, one connection a host.

The name is resolved here, for redirections too, all that it leads to must be of the public
internet, and the connection goes to the very address that was checked: a name server that answers
differently the second time gains nothing. The certificate is checked for the name. Proxies, which
would resolve the name themselves, are not used.
"""

import ipaddress
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2

from melodai import __version__
from melodai.errors import DownloadError

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Limits of a download.

    Attributes:
        allow_http, allow_private: also plain http; also addresses of this machine and its network.
        max_bytes: a larger file is refused.
        stall_seconds, total_seconds: without a byte; for one attempt at a file.
        retries, backoff_seconds: after the first attempt; the pause before, doubled each time.
        delay_seconds: between two requests to one host.
    """

    allow_http: bool = False
    allow_private: bool = False
    max_bytes: int = 200_000_000
    stall_seconds: float = 30.0
    total_seconds: float = 900.0
    retries: int = 4
    backoff_seconds: float = 1.0
    delay_seconds: float = 1.0


class Stopped(Exception):
    """The user stops; what was received is kept."""


def parse_url(text: str, rules: Rules) -> httpx2.URL:
    """A URL in its normal form.

    Raises:
        DownloadError: it is no https URL (nor http, where that is allowed), or holds credentials.
    """
    shown = repr(text[:200])
    try:
        url = httpx2.URL(text.strip()).copy_with(fragment=None)
    except httpx2.InvalidURL as error:
        raise DownloadError(f"{shown} is not a URL: {error}") from error
    if url.userinfo:
        raise DownloadError(f"the URL at {url.host!r} holds a user name or password; leave it out")
    if url.scheme not in ("https", "http") or not url.host:
        raise DownloadError(f"{shown}: only https addresses are fetched")
    if url.scheme == "http" and not rules.allow_http:
        raise DownloadError(
            f"{shown} is plain http, which anybody on the way can change; use https or --allow-http"
        )
    return url


def is_public(place: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is of the public internet, also in the IPv4 address that it may wrap."""
    if isinstance(place, ipaddress.IPv6Address):
        inner = place.ipv4_mapped or place.sixtofour
        if place in _NAT64:
            inner = ipaddress.IPv4Address(int(place) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if place not in _GLOBAL_UNICAST:
            return False
    return place.is_global and not (place.is_multicast or place.is_reserved)


def sleep(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Waits in short pieces; raises Stopped when the user stops."""
    end = time.monotonic() + seconds
    while not should_stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
    if should_stop():
        raise Stopped


def open_client(rules: Rules, should_stop: Callable[[], bool]) -> httpx2.Client:
    """A client for all threads of a run."""
    return httpx2.Client(
        transport=_Transport(rules, should_stop),
        timeout=httpx2.Timeout(rules.stall_seconds, connect=15.0),
        headers={
            "User-Agent": f"melodai/{__version__}",
            "Accept": "audio/*, */*;q=0.5",
            "Accept-Encoding": "identity",
        },
        follow_redirects=True,
        max_redirects=5,
        trust_env=False,
    )


class _Transport(httpx2.HTTPTransport):
    def __init__(self, rules: Rules, should_stop: Callable[[], bool]) -> None:
        super().__init__(limits=httpx2.Limits(max_keepalive_connections=0))
        self._rules, self._should_stop = rules, should_stop
        self._hosts: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._not_before: dict[str, float] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        host = parse_url(str(request.url), self._rules).host
        while not self._hosts[host].acquire(timeout=0.2):
            sleep(0, self._should_stop)
        response = None
        try:
            sleep(self._not_before.get(host, 0.0) - time.monotonic(), self._should_stop)
            response = self._connect(request, host)
            response.stream = _Stream(response.stream, lambda: self._release(host))
        finally:
            if response is None:
                self._release(host)
        return response

    def _release(self, host: str) -> None:
        self._not_before[host] = time.monotonic() + self._rules.delay_seconds
        self._hosts[host].release()

    def _connect(self, request: httpx2.Request, host: str) -> httpx2.Response:
        problem: httpx2.TransportError = httpx2.ConnectError(f"{host} is not found")
        for place in self._resolve(host):
            checked = httpx2.Request(
                request.method,
                request.url.copy_with(host=place),
                headers=request.headers,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return super().handle_request(checked)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                problem = error
        raise problem

    def _resolve(self, host: str) -> list[str]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        places = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for place in places:
            if not self._rules.allow_private and not is_public(ipaddress.ip_address(place)):
                raise DownloadError(
                    f"{host} leads to {place}, which is not of the public internet; refused "
                    "without --allow-private"
                )
        return places


class _Stream(httpx2.SyncByteStream):
    """The body of an answer; its host is free again when it is closed."""

    def __init__(self, stream: httpx2.SyncByteStream, on_close: Callable[[], None]) -> None:
        self._stream, self._on_close = stream, on_close

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()
        self._on_close()
