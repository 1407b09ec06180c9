"""A model and one half of the listeners, each held against the labels of the other half.

A score against the labels of all listeners and the agreement of two halves are not of one kind:
labels of more listeners are steadier, and easier to be right about. Here both answer the same
question, what one random half of a song's listeners said, in the mean over many halves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodai.errors import DataError
from melodai.evaluation.ceiling import NUM_REPETITIONS, halves_of
from melodai.evaluation.intervals import NUM_RESAMPLES, Interval, bootstrap
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.votes import Votes, hard_labels, mood_scores


@dataclass(frozen=True, kw_only=True)
class AgainstHalf:
    """Accuracy against the labels of one half of the listeners; intervals over artists."""

    model: Interval
    listeners: Interval  # the other half
    difference: Interval  # model minus listeners, on the same songs
    num_tracks: int

    def __str__(self) -> str:
        return (
            f"against the labels of one random half of a song's listeners: model {self.model}, "
            f"the other half {self.listeners}, difference {self.difference} "
            f"({self.num_tracks} songs)"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves:
    """Labels of two random halves of each song's listeners, drawn many times.

    Attributes:
        names: of the songs with two listeners at least.
        labels: (half, repetition, song) mood that each half gives.
    """

    names: tuple[str, ...]
    labels: np.ndarray

    @classmethod
    def of(
        cls,
        votes: Votes,
        moods: Sequence[str],
        random: np.random.Generator,
        num_repetitions: int = NUM_REPETITIONS,
    ) -> "Halves":
        """Draws the halves, as `split_halves` does."""
        songs = votes.num_listeners > 1
        drawn = [
            [hard_labels(*mood_scores(rates[songs], moods)) for rates in halves_of(votes, random)]
            for _ in range(num_repetitions)
        ]
        names = tuple(name for name, kept in zip(votes.names, songs, strict=True) if kept)
        return cls(names=names, labels=np.array(drawn).transpose(1, 0, 2))


def against_half(
    predictions: Predictions,
    halves: Halves,
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> AgainstHalf:
    """How often a model, and how often the other half of the listeners, say what one half says.

    Raises:
        DataError: none of the songs has two listeners.
    """
    _, rows, columns = np.intersect1d(predictions.names, halves.names, return_indices=True)
    if not len(rows):
        raise DataError("none of the predicted songs has the votes of two listeners")
    truth, other = halves.labels[:, :, columns]
    said = predictions.calibrated[rows].argmax(axis=1)
    model, listeners = (said == truth).mean(axis=0), (other == truth).mean(axis=0)  # (song,)

    def means(songs: np.ndarray) -> np.ndarray:
        both = model[songs].mean(), listeners[songs].mean()
        return np.array([*both, both[0] - both[1]])

    found = bootstrap(means, predictions.clusters[rows], random=random, num_resamples=num_resamples)
    return AgainstHalf(
        model=found[0], listeners=found[1], difference=found[2], num_tracks=len(rows)
    )
