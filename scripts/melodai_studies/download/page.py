"""Songs on the pages of sites, by yt-dlp, if the user has installed it.

yt-dlp makes its own connections: the limits on size and time are kept from outside, but which
addresses it visits after the page is its own affair.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from melodai.audio import AUDIO_SUFFIXES
from melodai.errors import DownloadError
from melodai_studies.download.rules import Rules, Stopped

_POLL_SECONDS = 0.2


def program() -> list[str] | None:
    """How yt-dlp is called here, or None."""
    if found := shutil.which("yt-dlp"):
        return [found]
    if importlib.util.find_spec("yt_dlp") is not None:
        return [sys.executable, "-P", "-m", "yt_dlp"]
    return None


def fetch_from_page(
    url: str, folder: Path, *, rules: Rules, should_stop: Callable[[], bool] = lambda: False
) -> Path:
    """Has yt-dlp fetch the sound of a page.

    Args:
        url: as `address.parse_address` gives it.
        folder: is emptied before.

    Returns:
        The one file it wrote into the folder.

    Raises:
        DownloadError: it is not installed, fails, or goes beyond a limit.
        Stopped: the user wishes it.
    """
    command = program()
    if command is None:
        raise DownloadError(
            "it is a web page, not an audio file; give the address of the file itself, or install "
            "yt-dlp for pages (python -m pip install yt-dlp)"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command += [
        "--ignore-config", "--no-playlist", "--no-exec", "--no-cache-dir", "--no-progress",
        "--no-overwrites", "--quiet", "--format", "bestaudio/best",
        "--socket-timeout", f"{rules.stall_seconds:g}", "--retries", str(rules.retries),
        "--max-filesize", str(rules.max_bytes), "--proxy", "",
        "--output", "song.%(ext)s", "--", url,
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it may start programs of its own, which end with it
        )
        try:
            _wait(process, folder, rules, should_stop)
        finally:
            _end(process)
        said.seek(0)
        words = said.read()[-2000:].decode(errors="replace").strip().splitlines()
    songs = [path for path in folder.iterdir() if path.suffix.casefold() in AUDIO_SUFFIXES]
    if process.returncode != 0 or len(songs) != 1:
        last = words[-1].removeprefix("ERROR: ") if words else f"exit code {process.returncode}"
        readable = "".join(letter for letter in last if letter.isprintable())
        raise DownloadError(f"yt-dlp got no song from the page: {readable[:300]}")
    return songs[0]


def _wait(
    process: subprocess.Popen, folder: Path, rules: Rules, should_stop: Callable[[], bool]
) -> None:
    end = time.monotonic() + rules.total_seconds
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
            return
        if should_stop():
            raise Stopped
        if time.monotonic() > end:
            raise DownloadError(f"yt-dlp took more than {rules.total_seconds:g} s")
        if sum(_size(path) for path in folder.iterdir()) > rules.max_bytes:
            raise DownloadError(f"larger than {rules.max_bytes / 1e6:g} MB")


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):  # it was renamed meanwhile
        return path.stat().st_size
    return 0


def _end(process: subprocess.Popen) -> None:
    """Ends it with all that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):  # nobody is left
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
