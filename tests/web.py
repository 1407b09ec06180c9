"""A web server of this machine that behaves as badly as a test asks it to."""

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from melodai_studies.download.connection import Rules

LOCAL = Rules(
    allow_http=True,
    allow_private=True,
    stall_seconds=5,
    total_seconds=20,
    retries=2,
    backoff_seconds=0.02,
    delay_seconds=0.0,
    max_bytes=20_000_000,
)

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Request:
    """What a client asked for, and when."""

    path: str
    headers: dict[str, str]
    at_seconds: float = field(default_factory=time.monotonic)


@dataclass
class Site:
    """A running server.

    Attributes:
        answers: what it does, by path.
        requests: what it was asked, in order.
        most_at_once: requests that were answered at the same time.
    """

    port: int
    scheme: str = "http"
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@contextmanager
def serving(address: str = "127.0.0.1", certificate: str | None = None) -> Iterator[Site]:
    """A site, until the end of the block."""
    busy, lock = 0, threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            nonlocal busy
            with lock:
                busy += 1
                site.most_at_once = max(site.most_at_once, busy)
            site.requests.append(Request(self.path, dict(self.headers)))
            try:
                site.answers.get(self.path, status(404))(self)
            except OSError:
                pass  # the client has gone
            finally:
                with lock:
                    busy -= 1

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request, client_address):
            pass  # a client that refuses the certificate

    with Server((address, 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        site = Site(server.server_port, "https" if certificate else "http")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield site
        site.is_over.set()
        server.shutdown()


def status(code: int, **headers: str) -> Answer:
    """An answer without a body; `Retry_After` becomes `Retry-After`."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def content(
    data: bytes,
    *,
    etag: str | None = '"1"',
    stop_after: int | None = None,
    length: int | None = None,
    ranges: bool = True,
    **headers: str,
) -> Answer:
    """A file; knows ranges.

    Args:
        stop_after: bytes after which the connection ends, the first time.
        length: what is announced instead of the truth.
    """
    cuts = [stop_after]

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        start = 0
        if ranges and asked and handler.headers.get("If-Range") in (None, etag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        rest = data[start:]
        sent = {"Content-Length": str(length or len(rest)), "Content-Type": "audio/mpeg"}
        if etag is not None:
            sent["ETag"] = etag
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.end_headers()
        cut = cuts.pop() if cuts else None
        handler.wfile.write(rest[:cut])

    return answer


def drip(data: bytes, site: Site, pause_seconds: float, piece: int = 1) -> Answer:
    """A file in small pieces with pauses."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("ETag", '"drip"')
        handler.end_headers()
        for start in range(0, len(data), piece):
            handler.wfile.write(data[start : start + piece])
            handler.wfile.flush()
            if site.is_over.wait(pause_seconds):
                return

    return answer
