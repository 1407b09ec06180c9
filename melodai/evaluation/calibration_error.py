"""How far confidence is from the share of right answers, without the bias of the usual estimate.

Songs are sorted into bins of confidence. The usual expected calibration error adds up the gaps
that are found there, and chance alone makes gaps: with 60 songs, perfectly calibrated answers have
one of 0.11 in the mean. Here the gap of each bin is squared by multiplying the residuals (right
less confidence) of *pairs of songs by different artists*, which chance leaves at zero in the mean;
the root of the bins' average is the calibration error. A square below zero, as chance makes of
well-calibrated answers in half of the cases, counts as zero.

Sources: A. Kumar, P. Liang, T. Ma, Verified Uncertainty Calibration, NeurIPS 2019, section 4, and
C. Ferro, T. Fricker, A bias-corrected decomposition of the Brier score, Quarterly Journal of the
Royal Meteorological Society 138 (2012), for independent examples; pairs across artists are the same
estimate for songs that are not.
"""

import numpy as np

NUM_BINS = 10  # equally wide


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """(example,) index of the bin of each confidence."""
    return np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)


def reliability(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Songs sorted into bins of confidence: mean confidence, share right, number; (bin,) each."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = bins_of(confidence)
    number = np.bincount(bins, minlength=NUM_BINS)
    with np.errstate(invalid="ignore"):
        means = np.bincount(bins, confidence, NUM_BINS) / number
        shares = np.bincount(bins, right, NUM_BINS) / number
    return means, shares, number


def residuals(
    probabilities: np.ndarray, labels: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of right less confidence, and numbers of songs, (cluster, bin) each."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    shape = (int(clusters.max(initial=-1)) + 1, NUM_BINS)
    cells = clusters * NUM_BINS + bins_of(confidence)
    sums = np.bincount(cells, right - confidence, minlength=shape[0] * NUM_BINS)
    numbers = np.bincount(cells, minlength=shape[0] * NUM_BINS)
    return sums.reshape(shape), numbers.reshape(shape)


def squared_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, clusters: np.ndarray | None = None
) -> float:
    """The mean squared gap between confidence and share right, unbiased: chance can make it < 0.

    Args:
        clusters: (example,) which artist each example is of; each of its own if None. Those of a
            resample keep their number, so that an artist that was drawn twice meets only others.
    """
    clusters = np.arange(len(labels)) if clusters is None else clusters
    sums, numbers = residuals(probabilities, labels, clusters)
    songs = numbers.sum(axis=0)
    pairs = songs**2 - (numbers**2).sum(axis=0)
    products = sums.sum(axis=0) ** 2 - (sums**2).sum(axis=0)
    usable = pairs > 0  # a bin with songs of a single artist says nothing
    return float((songs[usable] * products[usable] / pairs[usable]).sum() / max(songs.sum(), 1))


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, clusters: np.ndarray | None = None
) -> float:
    """Root of the debiased mean squared gap between confidence and share right, 0 to 1."""
    return max(0.0, squared_calibration_error(probabilities, labels, clusters)) ** 0.5


def errors_that_would_give(
    probabilities: np.ndarray, labels: np.ndarray, clusters: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """For each resample's noise, the true error that would have led to what was observed.

    Resampling observed gaps adds their noise a second time; their quantiles would lie too high.
    Instead the noise z of a resample is added to true gaps t * u, in the observed direction u, and
    |t * u + z| = |observed| is solved for t: quantiles of these t are the bounds of the error.

    Args:
        clusters: (example,) from 0, every number there.
        draws: (resample, cluster) how often each cluster was drawn.

    Returns:
        (resample,) errors, 0 where the noise alone is larger than what was observed.
    """
    sums, numbers = residuals(probabilities, labels, clusters)
    filled = numbers.any(axis=0)
    share = numbers.sum(axis=0)[filled] / len(labels)
    gaps = sums.sum(axis=0)[filled] / len(labels) / np.sqrt(share)
    drawn = (draws @ sums[:, filled]) / (draws @ numbers.sum(axis=1))[:, None] / np.sqrt(share)
    noise = drawn - gaps
    observed = np.linalg.norm(gaps)
    along = noise @ (gaps / max(observed, np.finfo(float).tiny))
    under_root = along**2 + observed**2 - (noise**2).sum(axis=1)
    return np.where(under_root > 0, np.sqrt(np.maximum(under_root, 0)) - along, 0).clip(min=0)
