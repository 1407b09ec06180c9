"""Playlists as lists of files: m3u, m3u8, pls, xspf, wpl, zpl and asx, of whatever program."""

import codecs
import functools
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from melodai.errors import DataError

PLAYLIST_SUFFIXES = {".m3u", ".m3u8", ".pls", ".xspf", ".wpl", ".zpl", ".asx"}
MAX_BYTES = 64 << 20
_PLS_FILE = re.compile(r"file\d+\s*=\s*", re.IGNORECASE)
_FILE_ADDRESS = re.compile(r"file:(//(localhost)?(?=/))?", re.IGNORECASE)
_NETWORK = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_WINDOWS_ROOT = re.compile(r"/?[a-z]:[/\\]|//|\\", re.IGNORECASE)
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Of .m3u, which says none: tried only where the bytes are no UTF-8, and only believed where such a
# file is there.
_CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp932", "gb18030", "cp949", "big5", "mac_roman")


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
    find = functools.partial(_find, path.parent, functools.cache(_names_in))
    for entry in _entries(_text(content), path.suffix.casefold()):
        if "\0" in entry:
            reason = "not a name"
        elif _NETWORK.match(entry) and not _FILE_ADDRESS.match(entry):
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


def _text(content: bytes) -> str:
    """Bytes that are no UTF-8 as the file system has them: escaped."""
    start = content.removeprefix(codecs.BOM_UTF8)[:4]
    encoding = _UTF16.get(content[:2])
    if encoding is None and start[1::2] == b"\0\0":
        encoding = "utf-16-le"
    elif encoding is None and start[::2] == b"\0\0":
        encoding = "utf-16-be"
    if encoding is not None:
        return content.decode(encoding, "replace").removeprefix("\ufeff")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


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


def _find(folder: Path, names_in: Callable[[Path], dict[str, str]], entry: str) -> Path:
    """The file that is meant, or the entry as a path if there is none."""
    readings = list(dict.fromkeys(_readings(entry)))
    for there in (_as_it_is, functools.partial(_as_written_there, names_in=names_in)):
        for reading in readings:
            if (path := there(folder / reading)) is not None:
                return path
    for reading in readings:
        if os.name != "nt" and (root := _WINDOWS_ROOT.match(reading)):
            parts = reading[root.end() :].replace("\\", "/").split("/")
            for start in range(len(parts)):
                if (
                    path := _as_written_there(folder.joinpath(*parts[start:]), names_in)
                ) is not None:
                    return path
            return Path(reading)
    return folder / readings[0]


def _readings(entry: str) -> Iterator[str]:
    address = _FILE_ADDRESS.match(entry)
    if address:
        entry = entry[address.end() :]
        if os.name == "nt" and re.match("/[A-Za-z]:", entry):
            entry = entry[1:]
    plain = unquote(entry, errors="surrogateescape")
    for name in (plain, entry) if address else (entry, plain):
        content = name.encode("utf-8", "surrogateescape")
        names = [os.fsdecode(content)]
        try:
            content.decode()
        except UnicodeDecodeError:
            names += [content.decode(page, "replace") for page in _CODE_PAGES]
        for reading in names:
            yield reading
            yield reading.replace("\\", "/")


def _as_it_is(path: Path) -> Path | None:
    return path if os.path.lexists(path) else None


def _as_written_there(path: Path, names_in: Callable[[Path], dict[str, str]]) -> Path | None:
    """The path with each name as its folder has it; None if it is not there in any spelling."""
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        if part != ".." and not os.path.lexists(found / part):
            part = names_in(found).get(_spelling(part))
            if part is None:
                return None
        found /= part
    return found


def _names_in(folder: Path) -> dict[str, str]:
    try:
        return {_spelling(name): name for name in os.listdir(folder)}
    except OSError:
        return {}


def _spelling(name: str) -> str:
    """One for all forms of accents and for capitals and small letters."""
    return unicodedata.normalize("NFC", name).casefold()
