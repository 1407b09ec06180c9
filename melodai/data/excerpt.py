"""Songs of which only some pieces are heard, joined to one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from melodai.data.segments import spread


class Samples(Protocol):
    """Decoded samples of a song: in the cache, a temporary file or in memory."""

    @property
    def num_samples(self) -> int: ...

    def read_into(self, samples: np.ndarray, start: int) -> None: ...


class Excerpt(NamedTuple):
    """Pieces of a song as if they were all of it."""

    song: Samples
    pieces: list[tuple[int, int]]

    @property
    def num_samples(self) -> int:
        """Of all pieces together."""
        return sum(length for _, length in self.pieces)

    def read_into(self, samples: np.ndarray, start: int = 0) -> None:
        """Fills an int16 array from the excerpt's sample `start` on."""
        place = 0  # of the piece within the excerpt
        for begin, length in self.pieces:
            first, end = max(start, place), min(start + len(samples), place + length)
            if first < end:
                part = samples[first - start : end - start]
                self.song.read_into(part, begin + first - place)
            place += length


def excerpts(
    songs: Sequence[Samples], count: int, segment_samples: int | None
) -> Sequence[Samples]:
    """A segment of each song, joined from `count` pieces; the songs themselves if that is 0."""
    if not count or segment_samples is None:
        return songs
    length = segment_samples // count
    return [Excerpt(song, spread(song.num_samples, count, length)) for song in songs]
