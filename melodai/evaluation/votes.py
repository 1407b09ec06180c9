"""Listeners' votes on emotions, and the moods that follow from them.

The layout is that of Emotify: `data.csv`, a row a listener and song. A. Aljanaki, F. Wiering,
R. C. Veltkamp, Studying emotion induced by music through a crowdsourcing game, Information
Processing & Management, 2016.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melodai.data.emotify import EMOTIONS as EMOTIONS_OF
from melodai.data.emotify import GENRES, SONGS_PER_GENRE, TIE, song_path
from melodai.data.manifest import read_table
from melodai.data.tracks import relative_name
from melodai.errors import DataError

VOTES_FILE = "data.csv"
EMOTIONS = (
    "joyful_activation",
    "power",
    "calmness",
    "solemnity",
    "tenderness",
    "nostalgia",
    "sadness",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Votes:
    """All votes: `choices` (vote, emotion) of 0 and 1, `songs` (vote,) index into `names`."""

    names: tuple[str, ...]
    songs: np.ndarray
    choices: np.ndarray

    @property
    def num_listeners(self) -> np.ndarray:
        """(song,) how many listeners voted."""
        return np.bincount(self.songs, minlength=len(self.names))

    def of(self, names: list[str]) -> "Votes":
        """The votes on the given songs only, songs in the given order.

        Raises:
            DataError: nobody voted on one of them.
        """
        place = {name: index for index, name in enumerate(names)}
        missing = place.keys() - set(self.names)
        if missing:
            raise DataError(f"no votes for {min(missing)} ({len(missing)} songs without votes)")
        new = np.array([place.get(name, -1) for name in self.names])[self.songs]
        kept = new >= 0
        return Votes(names=tuple(names), songs=new[kept], choices=self.choices[kept])

    def rates(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(song, emotion) share of listeners who chose the emotion; NaN where weights sum to 0.

        Args:
            weights: (vote,) how often each vote counts; once if not given.
        """
        weights = np.ones(len(self.songs)) if weights is None else weights
        total = np.bincount(self.songs, weights, len(self.names))
        sums = np.zeros((len(self.names), self.choices.shape[1]))
        np.add.at(sums, self.songs, self.choices * weights[:, None])
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums / total[:, None]


def has_votes(root: Path, moods: Collection[str] = ()) -> bool:
    """Whether a data set brings single listeners' votes, which say these moods."""
    return (root / VOTES_FILE).is_file() and EMOTIONS_OF.keys() >= set(moods)


def read_votes(root: Path) -> Votes:
    """Reads the votes of a data set in Emotify's layout; names as in `Track.name`.

    Raises:
        DataError: the file is missing, lacks a column, or holds a value that is no vote.
    """
    path = root / VOTES_FILE
    if not has_votes(root):
        raise DataError(f"{root} has no {VOTES_FILE}: the ceiling needs the votes of listeners")
    columns, rows = read_table(path)
    absent = {"track id", *EMOTIONS} - set(columns)
    if absent:
        raise DataError(f"{path} has no column {min(absent)!r}")
    try:
        numbers = np.array([int(row["track id"]) for row in rows])
        choices = np.array([[int(row[name]) for name in EMOTIONS] for row in rows])
    except ValueError as error:
        raise DataError(f"{path} holds a row that is no vote: {error}") from error
    if not rows or not np.isin(choices, (0, 1)).all():
        raise DataError(f"{path} must hold votes of 0 and 1")
    if not 1 <= numbers.min() <= numbers.max() <= len(GENRES) * SONGS_PER_GENRE:
        raise DataError(f"{path} holds a track id that is not from 1 to 400")
    songs, positions = np.unique(numbers, return_inverse=True)
    return Votes(
        names=tuple(relative_name(song_path(root, int(number)), root) for number in songs),
        songs=positions,
        choices=choices,
    )


def mood_scores(rates: np.ndarray, moods: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Score of each mood: the mean rate of its emotions; and the sum, which decides ties.

    Args:
        rates: (song, emotion) in the order of `EMOTIONS`.

    Returns:
        means and sums, (song, class) each.
    """
    rows = [[EMOTIONS.index(emotion) for emotion in EMOTIONS_OF[mood]] for mood in moods]
    sums = np.stack([rates[:, row].sum(axis=1) for row in rows], axis=1)
    return sums / np.array([len(row) for row in rows]), sums


def hard_labels(means: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Mood with the highest mean; among equals the highest sum, then the first; (song,) int64."""
    return tied_moods(means, sums).argmax(axis=1)


def tied_moods(means: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """(song, class) bool: the moods that no rule tells from the best one."""
    best = means >= means.max(axis=1, keepdims=True) - TIE
    sums = np.where(best, sums, -np.inf)
    return sums >= sums.max(axis=1, keepdims=True) - TIE
