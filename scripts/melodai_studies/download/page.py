"""Songs on the pages of sites, by yt-dlp, if the user has installed it.

yt-dlp makes its own connections: the limits on size and time are kept from outside, but which
addresses it visits after the page is its own affair.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from melodai.audio import AUDIO_SUFFIXES
from melodai.errors import DownloadError
from melodai_studies.download.connection import Rules


def program() -> list[str] | None:
    """How yt-dlp is called here, or None."""
    if found := shutil.which("yt-dlp"):
        return [found]
    installed = importlib.util.find_spec("yt_dlp") is not None
    return [sys.executable, "-P", "-m", "yt_dlp"] if installed else None


def fetch_from_page(url: str, folder: Path, rules: Rules) -> Path:
    """Has yt-dlp fetch the sound of a page into a new folder; returns the file.

    Raises:
        DownloadError: it is not installed, fails, or goes beyond a limit.
    """
    command = program()
    if command is None:
        raise DownloadError(
            "it is a web page, not an audio file; give the address of the file itself, or install "
            "yt-dlp for pages (python -m pip install yt-dlp)"
        )
    options = (
        "--ignore-config --no-playlist --no-exec --no-cache-dir --no-progress --no-overwrites "
        f"--quiet --format bestaudio/best --socket-timeout {rules.stall_seconds:g} "
        f"--retries {rules.retries} --max-filesize {rules.max_bytes} --output song.%(ext)s"
    )
    command += [*options.split(), "--proxy", "", "--", url]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=rules.total_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DownloadError(f"yt-dlp took more than {rules.total_seconds:g} s") from None
    songs = [path for path in folder.iterdir() if path.suffix.casefold() in AUDIO_SUFFIXES]
    if done.returncode != 0 or len(songs) != 1:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        last = words[-1].removeprefix("ERROR: ") if words else f"exit code {done.returncode}"
        readable = "".join(letter for letter in last if letter.isprintable())
        raise DownloadError(f"yt-dlp got no song from the page: {readable[:300]}")
    if songs[0].stat().st_size > rules.max_bytes:
        raise DownloadError(f"larger than {rules.max_bytes / 1e6:g} MB")
    return songs[0]
