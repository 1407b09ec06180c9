"""A folder per mood: `data/<mood>/**/*.mp3`."""

from collections.abc import Callable
from pathlib import Path

from melodai.data.tracks import Library, Track, is_audio_name, listing, relative_name
from melodai.errors import DataError
from melodai.labels import TAXONOMIES, moods_of, to_taxonomy


def read_folders(
    root: Path,
    taxonomy: str,
    *,
    is_wanted: Callable[[Path], bool] = is_audio_name,
    kind: str = "audio",
    beside: str | None = None,
) -> Library:
    """Reads the songs below each folder that is named after a mood, in whatever case.

    Other files are ignored and counted.

    Args:
        is_wanted: tells a song by its name.
        kind: what such files are called.
        beside: a file that belongs to the folder and is not counted.

    Raises:
        DataError: a folder of songs is not named after a mood, or there are no songs.
    """
    tracks, unknown, num_ignored = [], [], 0
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            num_ignored += not folder.name.startswith(".") and folder.name != beside
            continue
        # A link that leads nowhere is kept: it is named among the files that cannot be used.
        files = sorted(path for path in folder.rglob("*") if not path.is_dir())
        songs = [path for path in files if is_wanted(path)]
        num_ignored += len(files) - len(songs)
        mood = to_taxonomy(folder.name, taxonomy)
        if mood is None and songs:
            unknown.append(folder.name)
        elif mood is not None:
            tracks += [
                Track(path=path, mood=mood, name=relative_name(path, root)) for path in songs
            ]
    moods = moods_of(taxonomy)
    if unknown:
        raise DataError(f"{root}: {unknown_moods(unknown, taxonomy)}")
    if not tracks:
        raise DataError(
            f"{root}: no songs found. It should hold a folder per mood "
            f"({', '.join(moods)}) with {kind} files, or be a CSV file, or the Emotify layout"
        )
    warnings = (f"{num_ignored} files that are not {kind} were ignored",) if num_ignored else ()
    name = root.resolve().name
    return Library(name=name, root=root, moods=moods, tracks=tuple(tracks), warnings=warnings)


def unknown_moods(names: list[str], taxonomy: str) -> str:
    """The sentence that says which moods are unknown and what is allowed."""
    allowed = list(moods_of(taxonomy))
    if taxonomy == "three":
        allowed += TAXONOMIES["five"]
    elif all(to_taxonomy(name, "three") for name in names):
        return f"{listing(names)}: these are moods of --taxonomy three, not of --taxonomy five"
    return (
        f"unknown mood {listing(repr(name) for name in names)}; the moods are {', '.join(allowed)}"
    )
