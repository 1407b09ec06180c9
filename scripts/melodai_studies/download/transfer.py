"""One URL into one file, through redirections, retries and interruptions.

What was received lies in a `.part` file. A later attempt, also of another run, asks for the rest
only if the server's file is still the same (Range with If-Range), and otherwise begins again.
"""

import email.utils
import http
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path

from melodai.data.store import content_key
from melodai.errors import DownloadError
from melodai_studies.download.address import Address, TemporaryError, parse_address, redirected
from melodai_studies.download.connection import request
from melodai_studies.download.hosts import Hosts
from melodai_studies.download.part import Part, Version
from melodai_studies.download.rules import Patience, Rules

logger = logging.getLogger(__name__)

MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_BLOCK_BYTES = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class PageError(DownloadError):
    """The URL is a page for people, not a file."""


class Transfer:
    """A file on its way.

    Args:
        part: the file that is filled; what lies there from an earlier run is gone on with.
        on_bytes: called with the number of new bytes.
    """

    def __init__(
        self,
        url: str,
        part: Path,
        *,
        rules: Rules,
        hosts: Hosts,
        should_stop: Callable[[], bool] = lambda: False,
        on_bytes: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._address = parse_address(url, rules)
        self.part = Part(part, self._address.url)
        self._rules, self._hosts = rules, hosts
        self._on_bytes = on_bytes
        self._patience = Patience(rules.total_seconds, should_stop)

    def run(self) -> str:
        """Fetches what is missing.

        Returns:
            SHA-256 of the whole file, in hexadecimal.

        Raises:
            PageError: it is a web page.
            DownloadError: it cannot be had, is too large, or takes too long.
            Stopped: the user wishes it; what was received is kept.
        """
        attempt = 0
        while not self.part.version.is_complete:
            try:
                self._follow()
            except TemporaryError as error:
                if attempt == self._rules.retries:
                    raise DownloadError(f"{error} (tried {attempt + 1} times)") from error
                self._wait(error, attempt)
                attempt += 1
        with self.part.path.open("rb") as file:
            is_page = looks_like_page(file.read(_BLOCK_BYTES))
        if is_page:
            self.part.discard()
            raise DownloadError("the server sent a web page, not audio")
        return content_key(self.part.path)

    def _wait(self, error: TemporaryError, attempt: int) -> None:
        if error.wait_seconds is None:
            seconds = self._rules.backoff_seconds * 2**attempt * random.uniform(0.5, 1.5)
            logger.info("%s: %s; again in %.1f s", self._address.url, error, seconds)
            self._patience.sleep(seconds)
        elif error.wait_seconds > self._rules.longest_wait_seconds:
            wait = f"{error.wait_seconds:.0f} s"
            raise DownloadError(f"{error}, and asks to wait {wait}; run again later") from error

    def _follow(self) -> None:
        """One attempt: from the URL along its redirections to the file."""
        address = self._address
        for _ in range(MAX_REDIRECTS + 1):
            with (
                self._hosts.turn(address.host, self._patience),
                request(
                    address, self.part.range_headers(), self._rules, self._patience
                ) as response,
            ):
                if response.status not in _REDIRECTS:
                    self._receive(response, address)
                    return
                address = redirected(address, response.getheader("Location"), self._rules)
        raise DownloadError(f"the server redirects more than {MAX_REDIRECTS} times")

    def _receive(self, response: HTTPResponse, address: Address) -> None:
        self._check_status(response, address)
        version = Version(
            etag=response.getheader("ETag"), modified=response.getheader("Last-Modified")
        )
        start = 0
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            start, total = self._continued(response, version)
            version = replace(self.part.version, total=total)
        elif response.length is not None:
            version = replace(version, total=response.length)
        if version.total is not None and version.total > self._rules.max_bytes:
            raise DownloadError(self._too_large())
        is_html = "html" in response.headers.get_content_type()
        with self.part.path.open("r+b" if start else "wb") as file:
            file.seek(start)
            self.part.note(version)
            received = start
            while block := response.read1(_BLOCK_BYTES):
                if is_html and received == 0 and looks_like_page(block):
                    raise PageError("it is a web page, not an audio file")
                received += len(block)
                if received > self._rules.max_bytes:
                    raise DownloadError(self._too_large())
                file.write(block)
                self._on_bytes(len(block))
                self._patience.moment()
        if version.total is not None and received < version.total:
            raise TemporaryError(f"the connection ended after {received} of {version.total} bytes")
        self.part.note(replace(version, total=received, is_complete=True))

    def _check_status(self, response: HTTPResponse, address: Address) -> None:
        """Anything but (a part of) the file itself is an error."""
        status = response.status
        if status in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
            coding = response.getheader("Content-Encoding", "identity").strip().casefold()
            if coding not in ("", "identity"):
                raise DownloadError(f"the server sends it compressed ({coding[:20]!r}), unasked")
            return
        # The server's own words are not repeated: they may hold anything.
        name = http.client.responses.get(status, "unknown")
        said = f"{address.host} answers {status} ({name})"
        if status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.part.discard()
            raise TemporaryError(said, wait_seconds=0)
        if status not in _TEMPORARY:
            raise DownloadError(said)
        wait_seconds = _retry_after(response.getheader("Retry-After"))
        if wait_seconds is not None and wait_seconds <= self._rules.longest_wait_seconds:
            self._hosts.postpone(address.host, wait_seconds)
        raise TemporaryError(said, wait_seconds)

    def _continued(self, response: HTTPResponse, new: Version) -> tuple[int, int | None]:
        """Where the part that is sent begins, and the bytes in all.

        Raises:
            TemporaryError: it does not fit what is there, which is discarded.
        """
        found = _RANGE.fullmatch(response.getheader("Content-Range", "").strip())
        total = int(found[3]) if found and found[3] != "*" else None
        old = self.part.version
        fits = (
            found is not None
            and self.part.range_headers()
            and int(found[1]) == self.part.num_bytes
            and (total is None or total == int(found[2]) + 1)
            and (total is None or old.total is None or total == old.total)
            and (new.etag is None or new.etag == old.etag)
            and (new.etag is not None or new.modified is None or new.modified == old.modified)
        )
        if not fits:
            self.part.discard()
            raise TemporaryError("the server's file has changed meanwhile", wait_seconds=0)
        return int(found[1]), total or old.total

    def _too_large(self) -> str:
        return (
            f"larger than {self._rules.max_bytes / 1e6:g} MB; raise --max-megabytes if it must be"
        )


def looks_like_page(beginning: bytes) -> bool:
    """Whether a file that begins so is HTML."""
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    return text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--", b"<body", b"<script"))


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait, from a number of seconds or a date."""
    if text is None:
        return None
    if text.strip().isdecimal() and text.strip().isascii():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
