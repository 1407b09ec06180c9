"""How sure a score is, and whether two runs differ: resampling of whole artists.

Songs of one artist resemble each other, so artists are drawn, not songs. Percentile intervals are
too narrow for few artists: in a simulation with 20 artists the nominal 95 % held the truth in 92 %
of cases, BCa in 93 to 95 %, the expanded percentile interval used here in 94 %.

Source of the expansion: T. Hesterberg, What Teachers Should Know About the Bootstrap,
The American Statistician 69 (2015), section 5.3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from melodai.errors import DataError
from melodai.evaluation.calibration_error import calibration_error, errors_that_would_give
from melodai.evaluation.predictions import Predictions, align
from melodai.evaluation.scores import score

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value and the bounds that hold the truth with 95 % confidence; NaN where undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A score of two runs on the same songs; p_value of "no difference", two-sided."""

    one: float
    other: float
    difference: Interval  # one minus other
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Paired comparison of two runs, by the name of the score."""

    num_tracks: int
    num_artists: int
    differences: dict[str, Difference]


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    clusters: np.ndarray,
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> list[Interval]:
    """Intervals of a statistic, whole clusters drawn with replacement.

    Args:
        statistic: takes rows (any number,), repeated as drawn, and gives the values (score,).
        clusters: (example,) which cluster, as the artist, each example is in.

    Resamples in which a value is undefined (NaN) are left out for that value.
    """
    members = cluster_members(clusters)
    values = np.asarray(statistic(np.arange(len(clusters))), dtype=np.float64)
    if len(members) < 2:
        return [Interval(value, np.nan, np.nan) for value in values.tolist()]
    drawn = np.stack(
        [
            statistic(np.concatenate([members[index] for index in draw]))
            for draw in random.integers(len(members), size=(num_resamples, len(members)))
        ]
    )
    low, high = quantiles(drawn, len(members))
    return [Interval(*row) for row in np.stack([values, low, high], axis=1).tolist()]


def quantiles(drawn: np.ndarray, num_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of resampled values (resample, score): percentiles, moved out for few clusters.

    The bootstrap's spread is too small by the root of (n - 1) / n and it takes the normal
    distribution where Student's belongs; the percentile is chosen so as to make up for both.
    """
    freedom = num_clusters - 1
    student = stats.t.ppf((1 - CONFIDENCE) / 2, freedom)
    tail = stats.norm.cdf(np.sqrt(num_clusters / freedom) * student)
    bounds = np.full((2, drawn.shape[1]), np.nan)
    defined = np.isfinite(drawn)
    for index in np.flatnonzero(defined.any(axis=0)):
        bounds[:, index] = np.quantile(drawn[defined[:, index], index], [tail, 1 - tail])
    return bounds[0], bounds[1]


def cluster_members(clusters: np.ndarray) -> list[np.ndarray]:
    """Rows of each cluster."""
    order = np.argsort(clusters, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)


def score_intervals(
    predictions: Predictions,
    *,
    random: np.random.Generator,
    segments: bool = False,
    num_resamples: int = NUM_RESAMPLES,
) -> dict[str, Interval]:
    """95 % intervals of every score of the songs (or of their segments), by artists."""
    labels, soft, clusters = predictions.labels, predictions.soft, predictions.clusters
    said = predictions.calibrated
    if segments:
        rows = predictions.tracks
        labels, soft, clusters = labels[rows], soft[rows], clusters[rows]
        said = predictions.calibrated_segments
    names = list(score(said, labels, soft).flat(predictions.moods))

    def statistic(rows: np.ndarray) -> np.ndarray:
        flat = score(said[rows], labels[rows], soft[rows], clusters[rows]).flat(predictions.moods)
        return np.array(list(flat.values()))

    found = bootstrap(statistic, clusters, random=random, num_resamples=num_resamples)
    intervals = dict(zip(names, found, strict=True))
    intervals["calibration error"] = calibration_interval(
        said, labels, clusters, random=random, num_resamples=num_resamples
    )
    return intervals


def calibration_interval(
    probabilities: np.ndarray,
    labels: np.ndarray,
    clusters: np.ndarray,
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval:
    """The calibration error, whose bounds are not those of its resamples (see there)."""
    clusters = np.unique(clusters, return_inverse=True)[1]
    value = calibration_error(probabilities, labels, clusters)
    number = int(clusters.max(initial=-1)) + 1
    if number < 2:
        return Interval(value, np.nan, np.nan)
    draws = random.multinomial(number, np.full(number, 1 / number), size=num_resamples)
    errors = errors_that_would_give(probabilities, labels, clusters, draws)
    low, high = quantiles(errors[:, None], number)
    return Interval(value, float(low[0]), float(high[0]))


def compare_runs(
    one: Predictions,
    other: Predictions,
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> Comparison:
    """Differences of two runs on the songs that they share: paired intervals and a paired test.

    The interval resamples artists, for both runs the same ones. The test exchanges the runs'
    answers for each artist with probability 1/2, as may be done if the runs do not differ.

    Raises:
        DataError: no song in common, other moods or labels, or fewer than two artists.
    """
    one, other = align(one, other)
    clusters, labels, soft = one.clusters, one.labels, one.soft
    num_artists = len(np.unique(clusters))
    if num_artists < 2:
        raise DataError("a paired test needs songs of two artists at least")
    first, second = one.calibrated, other.calibrated
    names = list(score(first, labels, soft).flat(one.moods))

    def values(said: np.ndarray, rows: np.ndarray) -> np.ndarray:
        flat = score(said[rows], labels[rows], soft[rows], clusters[rows]).flat(one.moods)
        return np.array(list(flat.values()))

    def difference(rows: np.ndarray) -> np.ndarray:
        return values(first, rows) - values(second, rows)

    found = bootstrap(difference, clusters, random=random, num_resamples=num_resamples)
    everything = np.arange(len(labels))
    observed = np.abs(difference(everything))
    as_extreme = np.ones(len(names))  # the observed assignment is one of the possible ones
    for _ in range(num_resamples):
        exchange = (random.random(num_artists) < 0.5)[clusters, None]
        gap = values(np.where(exchange, second, first), everything)
        gap -= values(np.where(exchange, first, second), everything)
        as_extreme += ~(np.abs(gap) < observed - 1e-12)
    p_values = as_extreme / (num_resamples + 1)
    ours, theirs = values(first, everything), values(second, everything)
    return Comparison(
        num_tracks=len(labels),
        num_artists=num_artists,
        differences={
            name: Difference(
                one=float(ours[index]),
                other=float(theirs[index]),
                difference=found[index],
                p_value=float(p_values[index]) if np.isfinite(observed[index]) else np.nan,
            )
            for index, name in enumerate(names)
        },
    )
