"""How far a prediction could go, and how far a shortcut goes without listening.

Listeners disagree, so the label of a song depends on who was asked. Four measures of that, from
the single votes: two random halves of a song's listeners against each other; labels from a
bootstrap of the listeners against the labels (an optimistic bound); one listener against the
rest. Below them the shortcuts: the commonest mood, the genre, the artist's other songs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from melodai.evaluation.scores import correlation
from melodai.evaluation.votes import Votes, hard_labels, mood_scores, tied_moods

NUM_REPETITIONS = 400


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of two sources of labels, a mean over repetitions; `spread` is their deviation.

    Tuples have one entry a mood. correlation: Pearson's, of the moods' scores over songs, NaN
    where a source gives labels only.
    """

    accuracy: float
    accuracy_spread: float
    macro_f1: float
    macro_f1_spread: float
    f1: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    correlation: tuple[float, ...]
    num_tracks: int


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The ceiling of a data set; what needs votes is None where there are none.

    shortcuts: accuracy and macro-F1 by name, over all songs, each song's shortcut learnt from the
    other folds only (the artist's other songs excepted, which artist-disjoint folds rule out).
    """

    data: str
    moods: tuple[str, ...]
    num_tracks: int
    num_votes: int
    halves: Agreement | None
    resampled: Agreement | None
    one_listener: Agreement | None
    shortcuts: dict[str, Agreement]


def split_halves(
    votes: Votes,
    moods: Sequence[str],
    random: np.random.Generator,
    num_repetitions: int = NUM_REPETITIONS,
) -> Agreement:
    """One random half of each song's listeners against the other half.

    Songs with a single listener are left out.
    """
    songs = votes.num_listeners > 1
    return _repeat(lambda: halves_of(votes, random), moods, num_repetitions, songs)


def halves_of(votes: Votes, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rates (song, emotion) of two random halves of each song's listeners.

    Of an odd number of listeners the second half has one more.
    """
    counts = votes.num_listeners
    starts = np.cumsum(counts) - counts
    order = np.lexsort((random.random(len(votes.songs)), votes.songs))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, counts)
    first = rank < (counts // 2)[votes.songs]
    return votes.rates(first.astype(float)), votes.rates((~first).astype(float))


def resample_listeners(
    votes: Votes,
    moods: Sequence[str],
    random: np.random.Generator,
    num_repetitions: int = NUM_REPETITIONS,
) -> Agreement:
    """Labels of a bootstrap of each song's listeners against the labels of all of them."""
    counts = votes.num_listeners
    starts = np.cumsum(counts) - counts
    by_song = np.argsort(votes.songs, kind="stable")
    everyone = votes.rates()

    def once() -> tuple[np.ndarray, np.ndarray]:
        drawn = (random.random(len(by_song)) * np.repeat(counts, counts)).astype(np.int64)
        picks = by_song[drawn + np.repeat(starts, counts)]
        return everyone, votes.rates(np.bincount(picks, minlength=len(by_song)).astype(float))

    return _repeat(once, moods, num_repetitions, counts > 0)


def one_against_rest(votes: Votes, moods: Sequence[str]) -> Agreement:
    """Each listener's own label against the label of the song's other listeners.

    Every song counts the same, whatever its number of listeners. A listener who chose none of the
    moods' emotions gives no label and is left out; one between several moods counts for each in
    equal parts. Exact, hence without spread.
    """
    counts = votes.num_listeners
    own_means, own_sums = mood_scores(votes.choices.astype(float), moods)
    sums = votes.rates() * counts[:, None]
    rest = (sums[votes.songs] - votes.choices) / np.maximum(counts[votes.songs] - 1, 1)[:, None]
    usable = (own_means.max(axis=1) > 0) & (counts[votes.songs] > 1)
    truth = hard_labels(*mood_scores(rest[usable], moods))
    said = tied_moods(own_means[usable], own_sums[usable]).astype(float)
    said /= said.sum(axis=1, keepdims=True)
    songs = votes.songs[usable]
    weight = 1 / np.bincount(songs, minlength=len(counts))[songs]
    matrix = np.zeros((said.shape[1], said.shape[1]))
    np.add.at(matrix, truth, said * weight[:, None])
    return _agreement([matrix], [[np.nan] * said.shape[1]], len(np.unique(songs)))


def shortcuts(
    labels: np.ndarray,
    num_moods: int,
    *,
    folds: np.ndarray,
    artists: np.ndarray,
    genres: np.ndarray,
    scored: np.ndarray | None = None,
) -> dict[str, Agreement]:
    """What is reached without listening.

    Args:
        labels: (song,) mood of each song.
        folds: (song,) its fold; what a song's shortcut is learnt from are the other folds.
        artists: (song,) index of its artist; a song alone gets the commonest mood.
        genres: (song,) index of its genre, -1 where unknown; left out if none is known.
        scored: (song,) whether it counts in the scores; all if None. The others are learnt from.
    """
    scored = np.ones(len(labels), dtype=bool) if scored is None else scored
    commonest = np.empty(len(labels), dtype=np.int64)
    by_genre = np.empty_like(commonest)
    by_artist = np.empty_like(commonest)
    for row, (fold, artist, genre) in enumerate(zip(folds, artists, genres, strict=True)):
        others = folds != fold
        commonest[row] = _commonest(labels[others], num_moods, 0)
        same = others & (genres == genre) & (genre >= 0)
        by_genre[row] = _commonest(labels[same], num_moods, commonest[row])
        siblings = artists == artist
        siblings[row] = False
        by_artist[row] = _commonest(labels[siblings], num_moods, commonest[row])
    found = {"commonest mood": commonest, "artist's other songs": by_artist}
    if (genres >= 0).any():
        found["genre"] = by_genre
    nothing = [[np.nan] * num_moods]
    return {
        name: _agreement(
            [_matrix(labels[scored], said[scored], num_moods)], nothing, int(scored.sum())
        )
        for name, said in found.items()
    }


def _commonest(labels: np.ndarray, num_moods: int, otherwise: int) -> int:
    """The commonest label; `otherwise` where it is among the commonest, or there is none."""
    counts = np.bincount(labels, minlength=num_moods)
    return otherwise if counts[otherwise] == counts.max() else int(counts.argmax())


def _repeat(
    once: Callable[[], tuple[np.ndarray, np.ndarray]],
    moods: Sequence[str],
    num_repetitions: int,
    songs: np.ndarray,
) -> Agreement:
    matrices, correlations = [], []
    for _ in range(num_repetitions):
        (one, one_sums), (other, other_sums) = (
            mood_scores(rates[songs], moods) for rates in once()
        )
        num_moods = one.shape[1]
        matrices.append(
            _matrix(hard_labels(one, one_sums), hard_labels(other, other_sums), num_moods)
        )
        correlations.append([correlation(one[:, i], other[:, i]) for i in range(num_moods)])
    return _agreement(matrices, correlations, int(songs.sum()))


def _matrix(truth: np.ndarray, said: np.ndarray, num_moods: int) -> np.ndarray:
    return np.bincount(truth * num_moods + said, minlength=num_moods**2).reshape(num_moods, -1)


def _agreement(matrices: list[np.ndarray], correlations: list, num_tracks: int) -> Agreement:
    counts = np.stack(matrices).astype(float)  # (repetition, true mood, said mood)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    true, said = counts.sum(axis=2), counts.sum(axis=1)
    accuracy = hits.sum(axis=1) / true.sum(axis=1)
    f1 = 2 * hits / np.maximum(true + said, 1e-12)
    there = true + said > 0
    macro = (f1 * there).sum(axis=1) / there.sum(axis=1)

    def means(values: np.ndarray) -> tuple[float, ...]:
        return tuple(values.mean(axis=0).tolist())

    return Agreement(
        accuracy=float(accuracy.mean()),
        accuracy_spread=float(accuracy.std()),
        macro_f1=float(macro.mean()),
        macro_f1_spread=float(macro.std()),
        f1=means(f1),
        precision=means(hits / np.maximum(said, 1e-12)),
        recall=means(hits / np.maximum(true, 1e-12)),
        correlation=means(np.array(correlations, dtype=float)),
        num_tracks=num_tracks,
    )
