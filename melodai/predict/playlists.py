"""A playlist of each mood: extended M3U in UTF-8, with paths relative to its own folder."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, BinaryIO

from melodai.errors import MelodaiError, SettingError
from melodai.file_names import distinct_names
from melodai.files import replace_file
from melodai.predict.results import UNSURE, SongMood
from melodai.predict.rows import Row

MARKER = b"# written by melodai-predict, which replaces it when it is run again"
_HEAD_BYTES = 4096

Answer = SongMood | Row | tuple[Path, str]
"""Of one song."""


def write_playlists(songs: Iterable[Answer], folder: Path, moods: Sequence[str]) -> list[Path]:
    """Writes `<mood>.m3u8` for each mood that has songs, in the order of the songs.

    Each file is replaced in one step. A mood without songs has no file: one of an earlier run is
    removed. Files of others are left alone; memory does not grow with the number of songs.

    Args:
        songs: whole answers, whose length, artist and title stand in the playlist, rows of a result
            file, whose title is the file's name, or pairs of file and mood alone.
        moods: those that may occur; "unsure" need not be named.

    Returns:
        The files written.

    Raises:
        SettingError: a file of that name is there and is not ours.
        MelodaiError: the folder cannot be written to.
    """
    said = list(dict.fromkeys((*moods, UNSURE)))
    files = zip(said, distinct_names(said), strict=True)
    names = {mood: folder / f"{name}.m3u8" for mood, name in files}
    check_are_ours(names.values())
    start = folder.resolve()
    written = []
    with contextlib.ExitStack() as stack:
        lists: dict[str, IO[bytes]] = {}
        for song in songs:
            file, mood = song if isinstance(song, tuple) else (Path(song.file), song.mood)
            if mood not in names:
                raise ValueError(f"{mood} is none of the moods {', '.join(names)}")
            if mood not in lists:
                lists[mood] = stack.enter_context(tempfile.TemporaryFile())
                lists[mood].write(b"#EXTM3U\n" + MARKER + b"\n")
            lists[mood].write(_entry(song, file, start))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for mood, path in names.items():
                if mood in lists:
                    _replace(path, lists[mood])
                    written.append(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise MelodaiError(f"could not write {folder}: {error.strerror or error}") from error
    return written


def check_are_ours(paths: Iterable[Path]) -> None:
    """Checks that whatever is there was written by an earlier run.

    Raises:
        SettingError: something was not.
    """
    for path in paths:
        if not os.path.lexists(path):
            continue
        try:
            with path.open("rb") as file:
                is_ours = MARKER in file.read(_HEAD_BYTES).splitlines()
        except OSError:
            is_ours = False
        if not is_ours:
            raise SettingError(
                f"{path} is there already and was not written by melodai; move it away or choose "
                "another folder for --playlists"
            )


def _replace(path: Path, lines: IO[bytes]) -> None:
    lines.seek(0)

    def write(file: BinaryIO) -> None:
        shutil.copyfileobj(lines, file)

    replace_file(path, write)


def _entry(song: Answer, file: Path, folder: Path) -> bytes:
    """`#EXTINF` and the path; -1 is the length of what is not known."""
    title, seconds = file.stem, None if isinstance(song, tuple) else song.seconds
    if isinstance(song, SongMood):
        title = " - ".join(part for part in (song.artist, song.title or file.stem) if part)
    words = " ".join(title.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split())
    length = -1 if seconds is None else round(seconds)
    return f"#EXTINF:{length},{words}\n{_location(file, folder)}\n".encode()


def _location(file: Path, folder: Path) -> str:
    """The path as it can stand in a line of its own."""
    # Only the folder's links are followed: a linked song keeps its name.
    absolute = file.parent.resolve() / file.name
    try:
        path = Path(os.path.relpath(absolute, folder)).as_posix()
    except ValueError:  # another drive (Windows)
        path = absolute.as_posix()
    try:
        path = os.fsencode(path).decode()
        is_line = path.splitlines() == [path.strip()]
    except UnicodeDecodeError:  # bytes that are no UTF-8
        is_line = False
    if not is_line:  # a line end, say, can only stand in an address
        return absolute.as_uri()
    looks_different = path.startswith("#") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path)
    return f"./{path}" if looks_different and not Path(path).is_absolute() else path
