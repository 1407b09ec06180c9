"""Finds out what kind of data a path is, reads it, and finds its moods."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from melodai.config import DataConfig
from melodai.data.demo import read_demo
from melodai.data.emotify import is_emotify, read_emotify
from melodai.data.folders import read_folders
from melodai.data.four_quadrants import is_four_quadrants, read_four_quadrants
from melodai.data.manifest import read_manifest
from melodai.data.picture_folders import holds_pictures, read_pictures
from melodai.data.tracks import Library, Track, listing
from melodai.errors import DataError, SettingError
from melodai.labels import SETS, distinct, mood_of, moods_for, parse_moods


def read_library(config: DataConfig) -> Library:
    """Reads the demo clips, songs or pictures in a folder per mood, a CSV, Emotify, 4Q; or several.

    Raises:
        DataError: there are no songs, or they cannot be read; the message says what to do.
        SettingError: soft labels are asked for and the data has none.
        DependencyError: the demo clips are asked for and not installed.
    """
    wanted = parse_moods(config.moods)
    libraries = [_read(data, wanted) for data in config.data or (None,)]
    moods = wanted or moods_for(mood for library in libraries for mood in library.moods)
    libraries = [
        with_moods(library, moods, leaves_out=config.moods not in SETS) for library in libraries
    ]
    if config.soft_labels:
        _check_soft_labels(libraries)
    return libraries[0] if len(libraries) == 1 else together(libraries)


def _check_soft_labels(libraries: Sequence[Library]) -> None:
    """Of several data sets some may have none: their labels count as votes of one mind."""
    without = [sum(track.scores is None for track in library.tracks) for library in libraries]
    for library, num in zip(libraries, without, strict=True):
        if num and (num < len(library.tracks) or all(without)):
            raise SettingError(
                f"--soft-labels: {num} of the {len(library.tracks)} songs of {library.name} have "
                "none. Leave it out, or give a CSV with a column of shares for each mood"
            )


def together(libraries: Sequence[Library]) -> Library:
    """One library of several data sets, which keep their folds and get different names.

    Raises:
        DataError: some give parts and others do not, or some hold pictures and others songs.
    """
    names: list[str] = []
    for library in libraries:
        copies = sum(other.name == library.name for other in libraries[: len(names)])
        names.append(f"{library.name} ({copies + 1})" if copies else library.name)
    tracks = tuple(
        dataclasses.replace(track, data=name, name=f"{name}/{track.name}")
        for name, library in zip(names, libraries, strict=True)
        for track in library.tracks
    )
    if len({track.part is None for track in tracks}) > 1:
        raise DataError(
            f"{listing(names)}: some give parts of a split and some do not; give folds in all of "
            "them, or leave the parts out"
        )
    if len({library.holds_pictures for library in libraries}) > 1:
        raise DataError(f"{listing(names)}: pictures and songs cannot be learned together")
    return dataclasses.replace(
        libraries[0], name="+".join(names), root=libraries[0].root.parent, tracks=tracks,
        warnings=tuple(
            f"{name}: {text}"
            for name, library in zip(names, libraries, strict=True)
            for text in library.warnings
        ),
    )  # fmt: skip


def _read(data: Path | None, wanted: tuple[str, ...] | None) -> Library:
    """The songs with the labels that the data has."""
    if data is None:
        return read_demo()
    root = data.expanduser()
    if root.is_file():
        if root.suffix.casefold() not in {".csv", ".tsv", ".txt"}:
            raise DataError(f"{root} is neither a folder nor a CSV file")
        return read_manifest(root, wanted)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder or file")
    if is_emotify(root):
        return read_emotify(root, wanted)
    if is_four_quadrants(root):
        return read_four_quadrants(root)
    return read_pictures(root) if holds_pictures(root) else read_folders(root)


def with_moods(library: Library, moods: tuple[str, ...], *, leaves_out: bool = True) -> Library:
    """The library with its labels read as these moods, shares of votes added up.

    Songs of other moods are left out, with a warning, or are an error.

    Raises:
        DataError: songs of other moods are not to be left out, or there are no others.
    """
    tracks = [_with_mood(track, library.moods, moods) for track in library.tracks]
    others = [old for old, new in zip(library.tracks, tracks, strict=True) if new is None]
    warnings = list(library.warnings)
    if others:
        labels = listing(repr(label) for label in distinct(track.mood for track in others))
        if not leaves_out or len(others) == len(tracks):
            raise DataError(
                f"{library.root}: {labels}: not among the moods {', '.join(moods)}, nor words for "
                "them; leave --moods out to learn the labels as they are"
            )
        warnings.append(f"{len(others)} songs of other moods are left out: {labels}")
    return dataclasses.replace(
        library, moods=moods, tracks=tuple(track for track in tracks if track is not None),
        warnings=tuple(warnings),
    )  # fmt: skip


def _with_mood(track: Track, labels: tuple[str, ...], moods: tuple[str, ...]) -> Track | None:
    """The track in these moods; one without a mood has that with the largest share."""
    scores = None
    if track.scores is not None:
        sums = dict.fromkeys(moods, 0.0)
        for label, share in zip(labels, track.scores, strict=True):
            if (mood := mood_of(label, moods)) is not None:
                sums[mood] += share
        if total := sum(sums.values()):
            scores = tuple(value / total for value in sums.values())
    mood = mood_of(track.mood, moods)
    if not track.mood and scores is not None:
        mood = moods[max(range(len(moods)), key=scores.__getitem__)]
    return None if mood is None else dataclasses.replace(track, mood=mood, scores=scores)
