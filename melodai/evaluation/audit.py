"""Finds what would leak from one part of a data set into another.

Two things leak: the same recording under another name, and an artist under another spelling.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from melodai.data.artists import artist_key
from melodai.evaluation.fingerprint import (
    SAME_RECORDING,
    candidates,
    compare,
    descriptors,
    fingerprint,
)
from melodai.evaluation.spelling import Spelling, find_spellings

NUM_NEAREST = 12  # songs compared closely with each song


@dataclass(frozen=True)
class Duplicate:
    """Two songs that are the same recording.

    semitones: how much higher the other sounds. lag_seconds: how much later it begins.
    """

    one: str
    other: str
    similarity: float
    semitones: float
    lag_seconds: float


@dataclass(frozen=True)
class Crossing:
    """Songs that belong together and lie in several parts: the same recording, or one artist."""

    reason: str
    names: tuple[str, ...]
    parts: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.names) - 4} more" if len(self.names) > 4 else ""
        return f"{self.reason} in {', '.join(self.parts)}: {', '.join(self.names[:4])}{more}"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found; `closest` is the highest similarity of two songs that were called two."""

    data: str
    num_tracks: int
    num_compared: int
    duplicates: tuple[Duplicate, ...]
    spellings: tuple[Spelling, ...]
    crossings: tuple[Crossing, ...]
    closest: float


def find_duplicates(
    names: Sequence[str],
    read: Callable[[int], np.ndarray],
    sample_rate: int,
    *,
    num_nearest: int = NUM_NEAREST,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[tuple[Duplicate, ...], int, float]:
    """Songs that are the same recording.

    Linear in the number of songs but for one matrix product over pairs: about 25 ms a song and
    2 ms a comparison of one-minute songs.

    Args:
        read: gives the waveform (time,) of the song at an index; called once for each.
        num_nearest: songs compared closely with each; more than copies a song may have.

    Returns:
        duplicates, the number of comparisons, the highest similarity that was not called one.
    """
    prints, described = [], []
    for index in range(len(names)):
        print_ = fingerprint(read(index), sample_rate)
        described.append(descriptors(print_))
        prints.append(print_.half())  # half the memory; the values are within ±12
        on_progress(index + 1, len(names))
    pairs = candidates(described, num_nearest)
    duplicates, closest = [], 0.0
    for one, other in pairs:
        match = compare(prints[one], prints[other], sample_rate)
        if match.similarity >= SAME_RECORDING:
            duplicates.append(
                Duplicate(
                    names[one],
                    names[other],
                    round(match.similarity, 3),
                    match.semitones,
                    round(match.lag_seconds, 2),
                )
            )
        else:
            closest = max(closest, match.similarity)
    duplicates.sort(key=lambda found: -found.similarity)
    return tuple(duplicates), len(pairs), closest


def groups_of(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Sets of names joined by pairs, directly or through others."""
    group = {}
    for one, other in pairs:
        joined = group.get(one, {one}) | group.get(other, {other})
        group |= dict.fromkeys(joined, joined)
    return sorted({tuple(sorted(names)) for names in group.values()})


def find_crossings(
    duplicates: Sequence[Duplicate],
    spellings: Sequence[Spelling],
    artists: Mapping[str, str | None],
    parts: Mapping[str, str],
) -> tuple[Crossing, ...]:
    """Where recordings, artists or their two spellings lie in more than one part.

    Args:
        artists: of each song; None where unknown.
        parts: name of the fold or split of each song; songs not in it are in no part.
    """
    same = groups_of([(artist_key(pair.one), artist_key(pair.other)) for pair in spellings])
    known_as = {spelling: group[0] for group in same for spelling in group}
    songs: dict[str, list[str]] = {}
    for name, artist in artists.items():
        if key := artist_key(artist):
            songs.setdefault(known_as.get(key, key), []).append(name)
    shown = {key: min((artists[n] for n in names), key=len) for key, names in songs.items()}
    found = []
    recordings = groups_of([(pair.one, pair.other) for pair in duplicates])
    for reason, names in [("the same recording", names) for names in recordings] + [
        (f"artist {shown[key]!r}", tuple(names)) for key, names in sorted(songs.items())
    ]:
        crossed = sorted({parts[name] for name in names if name in parts})
        if len(crossed) > 1:
            found.append(Crossing(reason, names, tuple(crossed)))
    return tuple(found)


def audit_songs(
    data: str,
    artists: Mapping[str, str | None],
    parts: Mapping[str, str],
    read: Callable[[int], np.ndarray],
    sample_rate: int,
    *,
    num_nearest: int = NUM_NEAREST,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Looks a data set over for leaks.

    Args:
        data: its name.
        artists: of each song by its name, in the order of `read`; None where unknown.
        parts, read: as for `find_crossings` and `find_duplicates`.
    """
    names = list(artists)
    duplicates, num_compared, closest = find_duplicates(
        names, read, sample_rate, num_nearest=num_nearest, on_progress=on_progress
    )
    spellings = find_spellings([artist for artist in artists.values() if artist_key(artist)])
    return Audit(
        data=data,
        num_tracks=len(names),
        num_compared=num_compared,
        duplicates=duplicates,
        spellings=spellings,
        crossings=find_crossings(duplicates, spellings, artists, parts),
        closest=closest,
    )
