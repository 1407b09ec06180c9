"""One URL into one file, through retries and interruptions.

What was received is in a `.part` file, and beside it in JSON what identifies the server's file. A
later attempt, also of another run, asks for the rest only if that file is still the same (Range
with If-Range), and otherwise begins again.
"""

import contextlib
import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from melodai.errors import DownloadError
from melodai.files import file_digest
from melodai_studies.download.connection import Rules, Stopped, parse_url, sleep

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 120.0  # a server that asks for more (Retry-After) is given up
_TEMPORARY = {408, 416, 425, 429, 500, 502, 503, 504}
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<!--", b"<body", b"<script")


class PageError(DownloadError):
    """The URL is a page for people, not a file."""


class _TemporaryError(Exception):
    """A failure that may be over after the seconds that the server asks for, if it does."""

    wait_seconds: float | None = None


def fetch(
    client: httpx2.Client,
    url: str,
    part: Path,
    rules: Rules,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> str:
    """Fetches a file, or what is missing of it in `part`.

    Returns:
        SHA-256 of the whole file, in hexadecimal.

    Raises:
        PageError: it is a web page.
        DownloadError: it is not available, too large, or takes too long.
        Stopped: the user stops; what was received is kept.
    """
    url = str(parse_url(url, rules))
    for attempt in range(rules.retries + 1):
        seconds = rules.backoff_seconds * 2**attempt * random.uniform(0.5, 1.5)
        try:
            _receive(client, url, part, rules, should_stop, on_bytes)
            return file_digest(part)
        except httpx2.TooManyRedirects as error:
            raise DownloadError(
                f"the server redirects more than {client.max_redirects} times"
            ) from error
        except (httpx2.TransportError, _TemporaryError) as error:
            problem = f"{httpx2.URL(url).host}: {error or type(error).__name__}"
            asked = getattr(error, "wait_seconds", None)
            seconds = seconds if asked is None else asked
        if seconds > LONGEST_WAIT_SECONDS:
            raise DownloadError(f"{problem}, and asks to wait {seconds:.0f} s; run again later")
        if attempt < rules.retries:
            logger.info("%s; again in %.1f s", problem, seconds)
            sleep(seconds, should_stop)
    raise DownloadError(f"{problem} (tried {rules.retries + 1} times)")


def discard(part: Path) -> None:
    """Forgets what was received."""
    for path in (part, _sidecar(part)):
        path.unlink(missing_ok=True)


def _receive(
    client: httpx2.Client,
    url: str,
    part: Path,
    rules: Rules,
    should_stop: Callable[[], bool],
    on_bytes: Callable[[int], None],
) -> None:
    """One attempt."""
    end = time.monotonic() + rules.total_seconds
    start, validator = _received(part, url)
    headers = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
    too_large = DownloadError(
        f"larger than {rules.max_bytes / 1e6:g} MB; raise --max-megabytes if it must be"
    )
    with client.stream("GET", url, headers=headers) as response:
        _check_status(response, part)
        about = response.headers
        if response.status_code == 206:
            begins = about.get("Content-Range", "").partition("-")[0] == f"bytes {start}"
            if not (start and begins and about.get("ETag", validator) == validator):
                discard(part)
                raise _TemporaryError("the server's file has changed meanwhile")
        else:
            start = 0
            # Weak tags do not promise equal bytes.
            tags = [about.get("ETag", "W/"), about.get("Last-Modified", "W/")]
            validator = next((tag for tag in tags if not tag.startswith("W/")), "")
            part.write_bytes(b"")
            _sidecar(part).write_text(json.dumps({"url": url, "validator": validator}))
        if start + int(about.get("Content-Length", 0)) > rules.max_bytes:
            raise too_large
        with part.open("ab") as file:
            for block in response.iter_raw():
                if file.tell() == 0 and looks_like_page(block):
                    raise PageError("it is a web page, not an audio file")
                if file.tell() + len(block) > rules.max_bytes:
                    raise too_large
                file.write(block)
                on_bytes(len(block))
                if should_stop():
                    raise Stopped
                if time.monotonic() > end:
                    raise DownloadError(
                        f"it took more than {rules.total_seconds:g} s; run again to resume"
                    )


def _check_status(response: httpx2.Response, part: Path) -> None:
    """Anything but (a part of) the file itself is an error."""
    status = response.status_code
    if response.is_success:
        return
    # The server's own words are not repeated: they may hold anything.
    words = f"answers {status} ({httpx2.codes.get_reason_phrase(status)})"
    if status not in _TEMPORARY:
        raise DownloadError(f"{response.url.host} {words}")
    if status == 416:  # the rest of a file that has become shorter
        discard(part)
    error = _TemporaryError(words)
    with contextlib.suppress(ValueError):
        error.wait_seconds = float(response.headers.get("Retry-After", ""))
    raise error


def _received(part: Path, url: str) -> tuple[int, str]:
    """Bytes of this URL that are here, and what identifies the file they belong to."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(_sidecar(part).read_text(encoding="utf-8"))
        if known["url"] == url and known["validator"]:
            return part.stat().st_size, known["validator"]
    return 0, ""


def _sidecar(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def looks_like_page(beginning: bytes) -> bool:
    """Whether a file that begins so is HTML."""
    return beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower().startswith(_PAGES)
