"""Paths as people and programs write them into lists, and the files that they mean."""

import codecs
import functools
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

FILE_ADDRESS = re.compile(r"file:(//(localhost)?(?=/))?", re.IGNORECASE)
_WINDOWS_ROOT = re.compile(r"/?[a-z]:[/\\]|//|\\", re.IGNORECASE)
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Of lists that say none: tried only where the bytes are no UTF-8, and only believed where such a
# file is there.
_CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp932", "gb18030", "cp949", "big5", "mac_roman")


def as_text(content: bytes, errors: str = "surrogateescape") -> str:
    """UTF-8 or UTF-16, with or without a mark; other bytes as the file system has them: escaped."""
    start = content.removeprefix(codecs.BOM_UTF8)[:4]
    encoding = _UTF16.get(content[:2])
    if encoding is None and start[1::2] == b"\0\0":
        encoding = "utf-16-le"
    elif encoding is None and start[::2] == b"\0\0":
        encoding = "utf-16-be"
    if encoding is not None:
        return content.decode(encoding, "replace").removeprefix("\ufeff")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors)


class FileFinder:
    """Finds the file that is meant by what stands in a list.

    Args:
        folders: what relative paths may be relative to, the likeliest first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._names_in = functools.cache(_names_in)

    def __call__(self, entry: str) -> Path:
        """The file, or the entry as a path in the first folder if there is none."""
        readings = list(dict.fromkeys(_readings(entry)))
        for there in (_as_it_is, self._as_written_there):
            for folder in self._folders:
                for reading in readings:
                    if (path := there(folder / reading)) is not None:
                        return path
        for reading in readings:
            if os.name != "nt" and (root := _WINDOWS_ROOT.match(reading)):
                return self._below(reading[root.end() :]) or Path(reading)
        return self._folders[0] / readings[0]

    def _below(self, tail: str) -> Path | None:
        """What Windows had on a drive, below one of the folders."""
        parts = tail.replace("\\", "/").split("/")
        for folder in self._folders:
            for start in range(len(parts)):
                path = self._as_written_there(folder.joinpath(*parts[start:]))
                if path is not None:
                    return path
        return None

    def _as_written_there(self, path: Path) -> Path | None:
        """The path with each name as its folder has it; None if it is not there in any spelling."""
        found = Path(path.anchor)
        for part in path.parts[len(found.parts) :]:
            if part != ".." and not os.path.lexists(found / part):
                part = self._names_in(found).get(_spelling(part))
                if part is None:
                    return None
            found /= part
        return found


def _readings(entry: str) -> Iterator[str]:
    address = FILE_ADDRESS.match(entry)
    if address:
        entry = entry[address.end() :]
        if os.name == "nt" and re.match("/[A-Za-z]:", entry):
            entry = entry[1:]
    elif entry.startswith("~"):
        entry = os.path.expanduser(entry)
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


def _names_in(folder: Path) -> dict[str, str]:
    try:
        return {_spelling(name): name for name in os.listdir(folder)}
    except OSError:
        return {}


def _spelling(name: str) -> str:
    """One for all forms of accents and for capitals and small letters."""
    return unicodedata.normalize("NFC", name).casefold()
