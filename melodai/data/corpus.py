"""The songs of a run: what the data says about them, joined with what decoding them found."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from melodai.config import DataConfig
from melodai.data.artists import artist_groups
from melodai.data.cache import CacheReport, Failure, OnProgress, build_cache
from melodai.data.library import read_library
from melodai.data.picture_cache import build_picture_cache
from melodai.data.store import CachedTrack
from melodai.data.tracks import Library, Track, listing
from melodai.errors import DataError

# The "sample rate" of networks that look at pictures is their number of pixels in a row.
LOWEST_RATE_OF_SOUND = 4000
MIN_MOODS = 2
MIN_SONGS = 2
MIN_ARTISTS = 2


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Songs that can be used, each with its decoded samples.

    Attributes:
        moods: in class order.
        tracks, entries: of the same songs, in the same order; a track index is a position here.
        failures: files that cannot be used, and why.
        warnings: sentences for the user.
        holds_pictures: pictures in place of songs; the "sample rate" is their width.
    """

    name: str
    root: Path
    moods: tuple[str, ...]
    tracks: tuple[Track, ...]
    entries: tuple[CachedTrack, ...]
    sample_rate: int
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    holds_pictures: bool = False

    @property
    def classes(self) -> tuple[int, ...]:
        """Class index of each track."""
        return tuple(self.moods.index(track.mood) for track in self.tracks)

    @property
    def keys(self) -> tuple[str, ...]:
        """Content of each track's file."""
        return tuple(entry.key for entry in self.entries)

    def set_weights(self, tracks: Sequence[int]) -> list[float]:
        """Weights of these songs that balance data sets, with mean 1; all 1 of one data set.

        A song of mood c in set s weighs n_c / (S_c · n_cs): the songs of the mood, over the number
        of sets that have any of them, times those in its own set. So within each mood all data
        sets weigh the same; and where moods weigh the same too, so do data sets that have them all.
        """
        cells = [(self.tracks[index].mood, self.tracks[index].data) for index in tracks]
        in_cell, in_mood = Counter(cells), Counter(mood for mood, _ in cells)
        num_sets = Counter(mood for mood, _ in in_cell)
        return [in_mood[cell[0]] / (num_sets[cell[0]] * in_cell[cell]) for cell in cells]

    @property
    def seconds(self) -> float:
        """Length of all songs together."""
        return sum(entry.num_samples for entry in self.entries) / self.sample_rate


def prepare(
    config: DataConfig,
    sample_rate: int,
    on_progress: OnProgress = lambda done, total, path: None,
) -> Corpus:
    """Reads the data, decodes what is not decoded yet, and checks that one can train on it.

    Raises:
        DataError: no or too few songs, one song with two moods, or, with `strict`, a file that
            cannot be used. Also what `read_library` and `build_cache` raise.
    """
    library = read_library(config)
    _check_kind(library, sample_rate)
    if len(library.moods) < MIN_MOODS:
        raise DataError(
            f"{library.root}: the only mood is {listing(library.moods)}; at least two are needed, "
            "each in a folder of its own or in the column mood"
        )
    library = _without_missing(library, allow_missing=config.allow_missing)
    paths = [track.path for track in library.tracks]
    here: dict[str, Any] = {
        "cache_dir": config.cache_dir,
        "num_decoders": config.num_decoders,
        "on_progress": on_progress,
    }
    if library.holds_pictures:
        report = build_picture_cache(paths, size=sample_rate, **here)
    else:
        report = build_cache(paths, sample_rate=sample_rate, **here)
    corpus = join(library, report, sample_rate, strict=config.strict)
    check_enough(corpus)
    return corpus


def _without_missing(library: Library, *, allow_missing: bool) -> Library:
    """Leaves out what is not there, with a warning.

    Raises:
        DataError: that is not allowed.
    """
    there = tuple(track for track in library.tracks if os.path.lexists(track.path))
    missing = [track.path for track in library.tracks if not os.path.lexists(track.path)]
    if not missing:
        return library
    text = f"{len(missing)} of {len(library.tracks)} files are not there: {listing(missing)}"
    if not allow_missing:
        raise DataError(
            f"{text}. Paths in a list are relative to its folder, {library.root}, or else to the "
            "working folder; --allow-missing goes on without them"
        )
    return replace(library, tracks=there, warnings=(*library.warnings, text))


def _check_kind(library: Library, sample_rate: int) -> None:
    """Raises a DataError where pictures are to be heard, or songs to be looked at."""
    is_for_pictures = sample_rate < LOWEST_RATE_OF_SOUND
    if library.holds_pictures and not is_for_pictures:
        raise DataError(f"{library.root} holds pictures; songs are needed here")
    if is_for_pictures and not library.holds_pictures:
        raise DataError(
            f"{library.root} holds songs, and this network was trained on pictures; give a folder "
            "of pictures a mood"
        )


def join(
    library: Library, report: CacheReport, sample_rate: int, *, strict: bool = False
) -> Corpus:
    """Leaves out songs that cannot be used and second copies; fills gaps from the files' tags.

    Raises:
        DataError: files with one content have two moods or stand on two sides; with `strict`, any
            file that cannot be used.
    """
    warnings = list(library.warnings)
    if report.failures:
        names = {track.path: track.name for track in library.tracks}
        lines = [f"{names[failure.path]}: {failure.reason}" for failure in report.failures]
        text = (
            f"{len(lines)} of {len(library.tracks)} files cannot be used:\n  "
            f"{listing(lines, most=20, separator=f'{chr(10)}  ')}"
        )
        if strict:
            raise DataError(text)
        warnings.append(text)
    if remarks := [
        f"{track.name} ({words})"
        for track in library.tracks
        if (entry := report.entries.get(track.path)) and (words := entry.hearing.words)
    ]:
        warnings.append(f"not heard as they are, and used all the same: {listing(remarks)}")
    usable = [
        (_with_tags(track, report.entries[track.path]), report.entries[track.path])
        for track in library.tracks
        if track.path in report.entries
    ]
    songs = _without_copies(usable, warnings)
    return Corpus(
        name=library.name,
        root=library.root,
        moods=library.moods,
        tracks=tuple(track for track, _ in songs),
        entries=tuple(entry for _, entry in songs),
        sample_rate=sample_rate,
        failures=report.failures,
        warnings=tuple(warnings),
        holds_pictures=library.holds_pictures,
    )


def check_enough(corpus: Corpus) -> None:
    """Checks that every mood has songs to learn and to test it.

    Raises:
        DataError: a mood has fewer than two songs, or songs of fewer than two artists.
    """
    if not corpus.tracks:
        raise DataError(f"{corpus.root}: none of the files can be used" + _reasons(corpus.failures))
    for mood in corpus.moods:
        tracks = [track for track in corpus.tracks if track.mood == mood]
        if len(tracks) < MIN_SONGS:
            raise DataError(
                f"{corpus.root}: the mood {mood} has {len(tracks)} songs that can be used; at "
                f"least {MIN_SONGS} are needed to learn and test it. Add songs, "
                "or name the moods to learn with --moods"
            )
        if len(set(artist_groups([track.artist for track in tracks]))) < MIN_ARTISTS:
            raise DataError(
                f"{corpus.root}: all {len(tracks)} songs of the mood {mood} are by "
                f"{tracks[0].artist}, who can only stand on one side of the split. "
                "Add songs of other artists"
            )


def _with_tags(track: Track, entry: CachedTrack) -> Track:
    return replace(
        track,
        artist=track.artist or entry.tags.artist,
        album_artist=track.album_artist or entry.tags.album_artist,
        album=track.album or entry.tags.album,
        title=track.title or entry.tags.title,
    )


def _without_copies(
    songs: Sequence[tuple[Track, CachedTrack]], warnings: list[str]
) -> list[tuple[Track, CachedTrack]]:
    """The first of the files of a data set that have one content.

    A song that several data sets have stays a song of each, and on one side of every split.
    """
    copies = defaultdict(list)
    for track, entry in songs:
        copies[track.data, entry.key].append(track)
    conflicts = []
    for same in copies.values():
        names = " = ".join(track.name for track in same)
        if len({track.mood for track in same}) > 1:
            conflicts.append(f"{names} ({', '.join(track.mood for track in same)})")
        elif len({(track.part, track.fold) for track in same}) > 1:
            conflicts.append(f"{names} (on two sides of the given split)")
        elif len(same) > 1:
            warnings.append(f"one song under several names, used once: {names}")
    if conflicts:
        raise DataError(
            "files with the same content but different labels, keep one of each: "
            + listing(conflicts)
        )
    first = {same[0].name for same in copies.values()}
    return [(track, entry) for track, entry in songs if track.name in first]


def _reasons(failures: Sequence[Failure]) -> str:
    return "".join(f"\n  {failure.path.name}: {failure.reason}" for failure in failures[:10])
