"""Playlists as lists of files: m3u, m3u8, pls, xspf, wpl, zpl and asx, of whatever program."""

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from melodai.data.written_paths import FILE_ADDRESS, FileFinder, as_text
from melodai.errors import DataError

PLAYLIST_SUFFIXES = {".m3u", ".m3u8", ".pls", ".xspf", ".wpl", ".zpl", ".asx"}
MAX_BYTES = 64 << 20
_PLS_FILE = re.compile(r"file\d+\s*=\s*", re.IGNORECASE)
_NETWORK = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


class Skipped(NamedTuple):
    """Something that is no song to be listened to, and why."""

    what: str
    reason: str


def is_playlist_name(path: Path) -> bool:
    """Whether the name is one of a playlist."""
    return path.suffix.casefold() in PLAYLIST_SUFFIXES


def read_playlist(path: Path) -> tuple[list[Path], list[Skipped]]:
    """The files that a playlist names, in its order, relative to its own folder.

    Of all that an entry can mean, the first is taken that is there: the name as it stands, with
    backslashes as slashes, percent signs decoded, in another code page, with accents and capitals
    written otherwise, and below the playlist's folder what Windows had on a drive. An entry of
    which nothing is there is given as it stands.

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
    find = FileFinder([path.parent])
    for entry in _entries(as_text(content), path.suffix.casefold()):
        if "\0" in entry:
            reason = "not a name"
        elif _NETWORK.match(entry) and not FILE_ADDRESS.match(entry):
            reason = "on the network; only files are listened to"
        elif is_playlist_name(name := find(entry)):
            reason = f"a playlist within {path.name}; give it on its own"
        elif os.path.isdir(name):
            reason = f"a folder within {path.name}; give it on its own"
        else:
            files.append(name)
            continue
        skipped.append(Skipped(os.fsencode(entry).decode("utf-8", "backslashreplace"), reason))
    return files, skipped


def _entries(text: str, suffix: str) -> Iterator[str]:
    if suffix not in {".m3u", ".m3u8", ".pls"}:
        parser = _Locations()
        parser.feed(text)
        parser.close()
        yield from filter(None, map(str.strip, parser.found))
        return
    for line in re.split(r"[\r\n]+", text):
        line = line.strip(" \t")
        if suffix == ".pls":
            start = _PLS_FILE.match(line)
            line = line[start.end() :] if start else ""
        if line and not line.startswith("#"):
            yield line


class _Locations(HTMLParser):
    """What `<location>`, `<media src>` and `<ref href>` name; these files need not be sound XML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_location = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        name = {"media": "src", "ref": "href"}.get(tag)
        self.found += [value for key, value in attributes if key == name and value]
        self._is_location = tag == "location"
        if self._is_location:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self._is_location = False

    def handle_data(self, data: str) -> None:
        if self._is_location:
            self.found[-1] += data
