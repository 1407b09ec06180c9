"""Playlists as lists of files: m3u, m3u8 and pls."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from melodai.errors import DataError

PLAYLIST_SUFFIXES = {".m3u", ".m3u8", ".pls"}
MAX_BYTES = 64 << 20
_PLS_FILE = re.compile(rb"file\d+\s*=\s*", re.IGNORECASE)


class Skipped(NamedTuple):
    """Something that is no song to be listened to, and why."""

    what: str
    reason: str


def is_playlist_name(path: Path) -> bool:
    """Whether the name is one of a playlist."""
    return path.suffix.casefold() in PLAYLIST_SUFFIXES


def read_playlist(path: Path) -> tuple[list[Path], list[Skipped]]:
    """The files that a playlist names, in its order, relative to its own folder.

    Names are bytes as the file system has them; where no such file is there, the older habit of
    writing `.m3u` in Windows' western code page, and backslashes, are tried.

    Raises:
        DataError: it cannot be read, or is too large to be a playlist.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is too large to be a playlist")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    files, skipped = [], []
    for line in _entries(content, is_pls=path.suffix.casefold() == ".pls"):
        name, reason = _file_of(line, path.parent)
        if reason is None and is_playlist_name(name):
            reason = f"a playlist within {path.name}; give it on its own"
        elif reason is None and name.is_dir():
            reason = f"a folder within {path.name}; give it on its own"
        if reason is None:
            files.append(name)
        else:
            skipped.append(Skipped(line.decode("utf-8", "backslashreplace"), reason))
    return files, skipped


def _entries(content: bytes, is_pls: bool) -> Iterator[bytes]:
    for line in content.removeprefix(b"\xef\xbb\xbf").splitlines():
        line = line.strip()
        if is_pls:
            start = _PLS_FILE.match(line)
            line = line[start.end() :] if start else b""
        if line and not line.startswith(b"#"):
            yield line


def _file_of(line: bytes, folder: Path) -> tuple[Path, str | None]:
    """The file that is meant, or why there is none."""
    if b"\0" in line:
        return folder, "not a name"
    text = os.fsdecode(line)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text)
    if scheme and not text.casefold().startswith("file:/"):
        return folder, "on the network; only files are listened to"
    if scheme:
        return Path(unquote(urlsplit(text).path, errors="surrogateescape")), None
    readings = [text, text.replace("\\", "/"), line.decode("cp1252", "replace")]
    candidates = [folder / reading for reading in readings]
    return next((path for path in candidates if os.path.lexists(path)), candidates[0]), None
