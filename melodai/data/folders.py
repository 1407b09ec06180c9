"""A folder per mood: `data/<mood>/**/*.mp3`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from melodai.data.tracks import (
    PART_NAMES,
    Library,
    Track,
    is_audio_name,
    is_searched,
    listing,
    relative_name,
)
from melodai.errors import DataError
from melodai.labels import distinct


def read_folders(
    root: Path,
    *,
    is_wanted: Callable[[Path], bool] = is_audio_name,
    kind: str = "audio",
    beside: str | None = None,
) -> Library:
    """Reads the songs below each folder; the folder's name is their mood.

    Folders called train, val, test and the like are the parts of a split, each with a folder per
    mood. Other files are ignored and counted.

    Args:
        is_wanted: tells a song by its name.
        kind: what such files are called.
        beside: a file that belongs to the folder and is not counted.

    Raises:
        DataError: there are no songs, or parts of a split beside moods.
    """
    tracks, num_ignored = [], 0
    for folder in sorted(root.iterdir()):
        if not is_searched(folder.name) or not folder.is_dir():
            num_ignored += is_searched(folder.name) and folder.name != beside
            continue
        # A link that leads nowhere is kept: it is named among the files that cannot be used.
        files = sorted(
            path for path in folder.rglob("*")
            if all(map(is_searched, path.relative_to(root).parts[:-1])) and not path.is_dir()
        )  # fmt: skip
        songs = [path for path in files if is_wanted(path)]
        num_ignored += len(files) - len(songs)
        tracks += [
            Track(path=path, mood=folder.name, name=relative_name(path, root)) for path in songs
        ]
    tracks = _with_parts(root, tracks)
    if not tracks:
        raise DataError(
            f"{root}: no songs found. It should hold a folder per mood (such as happy, angry, calm)"
            f" with {kind} files, or be a CSV file, or the Emotify layout"
        )
    return Library(
        name=root.resolve().name,
        root=root,
        moods=distinct(track.mood for track in tracks),
        tracks=tuple(tracks),
        warnings=(f"{num_ignored} files that are not {kind} were ignored",) if num_ignored else (),
    )


def _with_parts(root: Path, tracks: list[Track]) -> list[Track]:
    """The same, where the folders are not moods but parts of a split that hold a folder per mood.

    Raises:
        DataError: only some are, or songs lie in a part itself.
    """
    folders = distinct(track.mood for track in tracks)
    parts = [name for name in folders if name.casefold() in PART_NAMES]
    if not parts or len(parts) == 1 < len(folders):  # one alone may be a mood
        return tracks
    of_part = [track for track in tracks if track.name.count("/") > 1]
    if len(parts) < len(folders) or len(of_part) < len(tracks):
        raise DataError(
            f"{root}: {listing(parts)} are parts of a split; each should hold a folder per mood, "
            "with nothing beside them"
        )
    return [
        replace(track, mood=track.name.split("/")[1], part=PART_NAMES[track.mood.casefold()])
        for track in tracks
    ]
