"""One HTTP request to a network address that was checked, with limits on every wait.

The name is resolved once, here, and the connection is made to the very address that was checked: a
name server that answers differently the second time gains nothing. The certificate is checked for
the name. Proxies are refused: they would resolve the name themselves.
"""

import functools
import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from melodai import __version__
from melodai.errors import DownloadError, SettingError
from melodai_studies.download.address import Address, TemporaryError, resolve
from melodai_studies.download.rules import Patience, Rules

HEADERS = {
    "User-Agent": f"melodai/{__version__}",
    "Accept": "audio/*, */*;q=0.5",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def refuse_proxies(hosts: Iterable[str], rules: Rules) -> None:
    """Says at once that the proxy of the environment will not be used.

    Raises:
        SettingError: there is one for some of the hosts, and `ignore_proxy` is not set.
    """
    proxies = urllib.request.getproxies_environment()
    names = sorted({"https", "http", "all"} & set(proxies))
    needed = [host for host in hosts if not urllib.request.proxy_bypass_environment(host, proxies)]
    if names and needed and not rules.ignore_proxy:
        raise SettingError(
            f"{names[0].upper()}_PROXY is set, and downloads do not go through a proxy, because it "
            "would decide itself which addresses it visits; give --ignore-proxy to connect directly"
        )


@contextmanager
def request(
    address: Address, headers: dict[str, str], rules: Rules, patience: Patience
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET, its body still to be read within the block; redirections are given back.

    Raises:
        TemporaryError: there is no connection, or it ends or stalls (also within the block).
        DownloadError: the address or its certificate is refused, or the time is over.
        Stopped: the user wishes it.
    """
    bare = _connect(address, rules, patience)
    try:
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.default_port = 443 if address.scheme == "https" else 80
        connection.sock = _Socket(bare, rules.stall_seconds, patience)
        connection.request("GET", address.target, headers={**HEADERS, **headers})
        yield connection.getresponse()
    except http.client.HTTPException as error:
        said = str(error) or type(error).__name__
        raise TemporaryError(f"{address.host} breaks off its answer: {said[:200]!r}") from error
    finally:
        bare.close()


def _connect(address: Address, rules: Rules, patience: Patience) -> socket.socket:
    """Connects to the first of the host's addresses that answers."""
    problem: OSError | None = None
    for place in resolve(address, rules):
        patience.moment()
        try:
            bare = socket.create_connection((str(place), address.port), rules.connect_seconds)
        except OSError as error:
            problem = error
            continue
        try:
            if address.scheme == "http":
                return bare
            return _certificates().wrap_socket(bare, server_hostname=address.host.rstrip("."))
        except ssl.SSLCertVerificationError as error:
            bare.close()
            raise DownloadError(
                f"the certificate of {address.host} is not valid: {error.verify_message}"
            ) from error
        except OSError as error:
            bare.close()
            problem = error
    raise TemporaryError(f"no connection to {address.host}: {_words(problem)}") from problem


@functools.cache
def _certificates() -> ssl.SSLContext:
    """The system's certificates, or those of $SSL_CERT_FILE; reading them takes a while."""
    return ssl.create_default_context()


def _words(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


class _Socket:
    """What `http.client` needs of a socket.

    Its `close` leaves the connection open, because the body is still to be read.
    """

    def __init__(self, bare: socket.socket, stall_seconds: float, patience: Patience) -> None:
        self._bare, self._stall_seconds, self._patience = bare, stall_seconds, patience

    def sendall(self, data: bytes) -> None:
        self._bare.settimeout(self._stall_seconds)
        try:
            self._bare.sendall(data)
        except OSError as error:
            raise TemporaryError(f"the request could not be sent: {_words(error)}") from error

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._bare, self._stall_seconds, self._patience), 1 << 16)

    def close(self) -> None:
        pass


class _Reader(io.RawIOBase):
    """Reads a socket in short waits, between which all limits are looked at."""

    def __init__(self, bare: socket.socket, stall_seconds: float, patience: Patience) -> None:
        self._bare, self._stall_seconds, self._patience = bare, stall_seconds, patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        end = time.monotonic() + self._stall_seconds
        while True:
            wait = min(self._patience.moment(), end - time.monotonic())
            if wait <= 0:
                raise TemporaryError(f"the server sent nothing for {self._stall_seconds:g} s")
            self._bare.settimeout(wait)
            try:
                return self._bare.recv_into(buffer)
            except TimeoutError:
                continue
            except OSError as error:
                raise TemporaryError(f"the connection broke off: {_words(error)}") from error
