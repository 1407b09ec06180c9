"""What the report shows of a run: the run, and its songs over time."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from melodai.evaluation.predictions import Predictions
from melodai.evaluation.summary import Evaluation


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """A run as it is reported: the predictions as they were evaluated, and its evaluation.

    Attributes:
        why: pictures (PNG in base64) of what carried the answers for chosen songs, by their names.
    """

    name: str
    predictions: Predictions
    evaluation: Evaluation
    history: Path | None = None
    why: Mapping[str, str] = field(default_factory=dict)


class Stack(NamedTuple):
    """A segment's probabilities, one bar on another.

    Attributes:
        left, width: in shares of the song.
        bars: top and height of each mood's bar.
    """

    told: str
    left: float
    width: float
    bars: list[tuple[float, float]]


class Song(NamedTuple):
    """A row of the table of songs; `source` is where a browser plays it from, "" if nowhere."""

    name: str
    artist: str
    mood: str
    predicted: str
    shares: list[float]
    stacks: list[Stack]
    source: str


def songs_of(run: ReportedRun, out: Path) -> Iterator[Song]:
    """The songs of a run, for a page at `out`."""
    found = run.predictions
    order = np.argsort(found.tracks, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(found.tracks))[:-1])
    segments = found.calibrated_segments
    for track, own in enumerate(members):
        shares = found.calibrated[track]
        yield Song(
            name=str(found.names[track]),
            artist=str(found.artists[track]),
            mood=found.moods[found.labels[track]],
            predicted=found.moods[shares.argmax()],
            shares=shares.tolist(),
            stacks=timeline(
                found.starts_seconds[own], found.lengths_seconds[own], segments[own], found.moods
            ),
            source=_source(str(found.paths[track]), out),
        )


def timeline(
    starts: np.ndarray, lengths: np.ndarray, probabilities: np.ndarray, moods: Sequence[str]
) -> list[Stack]:
    """Probabilities over time; a segment reaches to the start of the next one, the last to its end.

    Args:
        starts, lengths: (segment,) in seconds.
        probabilities: (segment, class).
    """
    order = np.argsort(starts, kind="stable")
    starts, lengths, shares = starts[order], lengths[order], probabilities[order]
    ends = np.append(starts[1:], starts[-1] + lengths[-1])
    total = max(ends[-1] - starts[0], 1e-6)
    stacks = []
    for start, end, row in zip(starts, ends, shares, strict=True):
        told = ", ".join(f"{mood} {share:.0%}" for mood, share in zip(moods, row, strict=True))
        bars = list(zip((np.cumsum(row) - row).tolist(), row.tolist(), strict=True))
        left, width = (start - starts[0]) / total, (end - start) / total
        stacks.append(Stack(f"{start:.0f}–{end:.0f} s: {told}", left, width, bars))
    return stacks


def _source(path: str, out: Path) -> str:
    if not path or not Path(path).is_file():
        return ""
    try:
        return quote(Path(os.path.relpath(path, out.parent.resolve())).as_posix())
    except ValueError:  # on another drive (Windows)
        return Path(path).resolve().as_uri()
