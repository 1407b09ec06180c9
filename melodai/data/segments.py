"""Which pieces of a song are heard."""

import math
from typing import NamedTuple


class Segment(NamedTuple):
    """A piece of a track.

    Attributes:
        track: index of the track.
        start: first sample.
        num_samples: may reach beyond the end of a song shorter than it, which is then repeated
            from its start as often as needed.
    """

    track: int
    start: int
    num_samples: int


def samples_of(segment_seconds: float | str, sample_rate: int) -> int | None:
    """Length of a segment in samples; None for "full", the whole song."""
    return None if segment_seconds == "full" else round(segment_seconds * sample_rate)


def evaluation_windows(num_samples: int, segment_samples: int | None) -> list[tuple[int, int]]:
    """Windows (start, length) over a whole song, the same every time.

    As few as cover the song, evenly spaced from its first to its last sample. A song shorter than a
    segment gives one window, in which it is repeated from its start.

    Args:
        segment_samples: length of a window; None is the whole song.

    >>> evaluation_windows(100, 45)
    [(0, 45), (28, 45), (55, 45)]
    >>> evaluation_windows(30, 45)
    [(0, 45)]
    """
    if segment_samples is None:
        return [(0, num_samples)]
    count = max(1, math.ceil(num_samples / segment_samples))
    last = max(0, num_samples - segment_samples)
    return [(round(last * n / max(1, count - 1)), segment_samples) for n in range(count)]


def training_window(
    num_samples: int, segment_samples: int | None, tempo: float, u: float
) -> tuple[int, int]:
    """A window (start, length) at a random place.

    A song shorter than the window is repeated from its start.

    Args:
        segment_samples: length of a segment; None is the whole song, whatever the tempo.
        tempo: a window `tempo` times as long, squeezed to a segment's width, sounds that much
            faster.
        u: where the window starts, from 0 (first place it fits) to below 1 (last).
    """
    if segment_samples is None:
        return 0, num_samples
    length = round(segment_samples * tempo)
    return int(u * (max(0, num_samples - length) + 1)), length


def spread(num_samples: int, count: int, length: int) -> list[tuple[int, int]]:
    """Pieces (start, length) spread over a song, each in the middle of its share of it.

    A song no longer than the pieces together is one piece.

    >>> spread(100, 2, 20)
    [(15, 20), (65, 20)]
    """
    if num_samples <= count * length:
        return [(0, num_samples)]
    middles = ((2 * number + 1) * num_samples / (2 * count) for number in range(count))
    return [(round(middle - length / 2), length) for middle in middles]
