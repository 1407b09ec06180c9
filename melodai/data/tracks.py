"""Songs with their moods, as the sources of data give them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from melodai.audio import AUDIO_SUFFIXES

# Where NAS systems, Windows and repairs of a disk keep what was deleted, and thumbnails of songs.
_BINS = {
    "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@eadir", "@tmp", "@sharebin",
    "$recycle.bin", "trashbox", "lost+found", "system volume information", "network trash folder",
    "temporary items", "__macosx",
}  # fmt: skip


# What the sides of a split are called, in manifests and as folders.
PART_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Track:
    """A song.

    Attributes:
        mood: in the library's moods.
        name: path relative to the root of the data, with forward slashes; of several data sets,
            after the name of its own.
        data: name of its data set, where there are several.
        scores: soft label, a share for each of the library's moods, summing to 1.
        num_votes: listeners behind the label.
        fold, part: where the data says on which side of a split the song stands (`part` is
            "train", "validation" or "test").
    """

    path: Path
    mood: str
    name: str
    data: str = ""
    scores: tuple[float, ...] | None = None
    num_votes: int | None = None
    artist: str | None = None
    album_artist: str | None = None
    album: str | None = None
    title: str | None = None
    genre: str | None = None
    fold: int | None = None
    part: str | None = None


@dataclass(frozen=True, kw_only=True)
class Library:
    """All songs of one source, before any was decoded.

    Attributes:
        moods: in class order.
        warnings: sentences for the user.
        holds_pictures: spectrogram pictures in place of songs.
    """

    name: str
    root: Path
    moods: tuple[str, ...]
    tracks: tuple[Track, ...]
    warnings: tuple[str, ...] = ()
    holds_pictures: bool = False


def relative_name(path: Path, root: Path) -> str:
    """Path relative to the root, with forward slashes; with dots where it lies outside."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive (Windows)
        return path.as_posix()


def is_audio_name(path: Path) -> bool:
    """Whether the name is one of an audio file (macOS's `._song.mp3` is none)."""
    return path.suffix.casefold() in AUDIO_SUFFIXES and not path.name.startswith(".")


def is_searched(folder: str) -> bool:
    """Whether songs are looked for in a folder of this name: not in hidden ones, nor in bins."""
    return not folder.startswith(".") and folder.casefold() not in _BINS


def listing(names: Iterable[object], most: int = 10, separator: str = ", ") -> str:
    """The names in a line, the first of them where there are many."""
    names = [str(name) for name in names]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + rest
