"""How far moods lie apart in what can be heard: the separation score.

Definition. Each acoustic feature is brought to mean 0 and deviation 1 over the songs. SST is the
sum of squared distances of the songs to their common centre, SSW to the centre of their own mood.
With n songs and k moods

    score = 1 - (SSW / (n - k)) / (SST / (n - 1)),

the share of the acoustic variance that the mood explains, corrected for chance: 0 is what moods
without any difference give on average (single values fall a little below as well), 1 is reached
when every mood is a point. A silhouette or a distance of centres has no such zero: they grow with
the number of features and shrink with the number of songs. It is epsilon squared (T. L. Kelley,
PNAS 21, 1935) of the sums of squares of a permutational analysis of variance (M. J. Anderson,
Austral Ecology 26, 2001, equations 1 to 4).

The test shuffles moods between whole artists, since songs of one artist share both sound and
mood. The interval resamples artists; copies in a resample lower SSW, so that its mean lies above
the score, and the percentiles are moved by that difference. In simulations with 30 and 100 artists
it held the truth in 96 to 100 % of cases where plain percentiles held it in 76 to 95 %.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from melodai.errors import DataError
from melodai.evaluation.intervals import NUM_RESAMPLES, Interval, cluster_members, quantiles

ALL = "all moods"


@dataclass(frozen=True, kw_only=True)
class Separation:
    """Separation of a set of moods; `by_feature` holds the score of each feature alone."""

    score: Interval
    p_value: float
    by_feature: tuple[float, ...]
    num_tracks: int
    num_artists: int


def separation_score(features: np.ndarray, labels: np.ndarray) -> float:
    """The score of features (song, feature), scaled by the caller, and moods (song,)."""
    return float(_score(*(part.sum(axis=0) for part in _sums(features, labels, labels * 0))))


def measure_separation(
    features: np.ndarray,
    labels: np.ndarray,
    clusters: np.ndarray,
    moods: tuple[str, ...],
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> dict[str, Separation]:
    """Separation of all moods and of every pair, as "peaceful - emotional".

    Args:
        features: (song, feature), in any units.
        labels, clusters: (song,) mood and artist of each song.

    Raises:
        DataError: a value is not finite, or fewer than two moods have songs.
    """
    if not np.isfinite(features).all():
        raise DataError("the acoustic features hold values that are not finite")
    there = [mood for mood in range(len(moods)) if (labels == mood).any()]
    if len(there) < 2:
        raise DataError("the separation of moods needs songs of two moods at least")
    scaled = standardize(features)
    groups = {ALL: there} | {
        f"{moods[one]} - {moods[other]}": [one, other] for one, other in combinations(there, 2)
    }
    found = {}
    for name, group in groups.items():
        rows = np.isin(labels, group)
        found[name] = _measure(scaled[rows], labels[rows], clusters[rows], random, num_resamples)
    return found


def standardize(features: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and deviation 1; a constant column becomes 0."""
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _measure(
    features: np.ndarray,
    labels: np.ndarray,
    clusters: np.ndarray,
    random: np.random.Generator,
    num_resamples: int,
) -> Separation:
    clusters = np.unique(clusters, return_inverse=True)[1]
    num_artists = int(clusters.max()) + 1
    parts = _sums(features, labels, clusters)
    value = float(_score(*(part.sum(axis=0) for part in parts)))

    draws = random.integers(num_artists, size=(num_resamples, num_artists))
    drawn = np.array([_score(*(part[draw].sum(axis=0) for part in parts)) for draw in draws])
    low, high = quantiles(drawn[:, None], num_artists) if num_artists > 1 else ([np.nan],) * 2
    bias = float(np.nanmean(drawn)) - value

    members = cluster_members(clusters)
    in_order = labels[np.concatenate(members)]
    as_good = 1  # the moods as they are count among the shuffles
    for _ in range(num_resamples):
        shuffled = [random.permutation(members[index]) for index in random.permutation(num_artists)]
        as_good += separation_score(features[np.concatenate(shuffled)], in_order) >= value - 1e-12
    return Separation(
        score=Interval(value, float(low[0]) - bias, float(high[0]) - bias),
        p_value=as_good / (num_resamples + 1),
        by_feature=tuple(separation_score(column[:, None], labels) for column in features.T),
        num_tracks=len(labels),
        num_artists=num_artists,
    )


def _sums(
    features: np.ndarray, labels: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each cluster: songs a mood, sums of features a mood, sum of squares over all songs."""
    num_clusters, num_moods = int(clusters.max()) + 1, int(labels.max()) + 1
    counts = np.zeros((num_clusters, num_moods))
    np.add.at(counts, (clusters, labels), 1)
    sums = np.zeros((num_clusters, num_moods, features.shape[1]))
    np.add.at(sums, (clusters, labels), features)
    squares = np.bincount(clusters, np.square(features).sum(axis=1), num_clusters)
    return counts, sums, squares


def _score(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> float:
    """The score from songs (mood,), sums (mood, feature) and the sum of squares."""
    num_tracks, num_moods = counts.sum(), (counts > 0).sum()
    total = squares - np.square(sums.sum(axis=0)).sum() / num_tracks
    within = squares - (np.square(sums).sum(axis=1) / np.maximum(counts, 1)).sum()
    if num_moods < 2 or num_tracks <= num_moods or total <= 0:
        return np.nan
    return 1 - (within / (num_tracks - num_moods)) / (total / (num_tracks - 1))
