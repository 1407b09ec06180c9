"""How good probabilities are: hard decisions, ranking, calibration, and listeners' vote shares.

Each score is written out here in a few lines of numpy, since the bootstrap computes them
thousands of times; the tests hold them against scikit-learn and scipy.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from melodai.evaluation.calibration_error import calibration_error
from melodai.evaluation.predictions import Predictions
from melodai.metrics import POOLINGS, SMALLEST, MoodScores, scores_of_confusion


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of a set of probabilities; tuples have one entry a mood, NaN where undefined.

    log_loss in nats. brier: mean squared distance to the true mood's corner, 0 to 2.
    calibration_error: of the surest mood, debiased. aurc: area under the risk-coverage curve.
    pearson, spearman and kl (mean divergence of the prediction from the vote shares, nats) compare
    with vote shares, NaN where nobody voted.
    """

    hard: MoodScores
    roc_auc: tuple[float, ...]
    pr_auc: tuple[float, ...]
    log_loss: float
    brier: float
    calibration_error: float
    aurc: float
    pearson: tuple[float, ...]
    spearman: tuple[float, ...]
    kl: float

    def flat(self, moods: tuple[str, ...]) -> dict[str, float]:
        """Every number under one name, those of a mood as "recall peaceful"."""
        hard = self.hard
        values = {
            "accuracy": hard.accuracy,
            "balanced accuracy": hard.balanced_accuracy,
            "macro F1": hard.macro_f1,
            "log-loss": self.log_loss,
            "Brier": self.brier,
            "calibration error": self.calibration_error,
            "AURC": self.aurc,
            "KL": self.kl,
        }
        for name, row in {
            "precision": hard.precision,
            "recall": hard.recall,
            "F1": hard.f1,
            "ROC-AUC": self.roc_auc,
            "PR-AUC": self.pr_auc,
            "Pearson": self.pearson,
            "Spearman": self.spearman,
        }.items():
            values |= {f"{name} {mood}": row[index] for index, mood in enumerate(moods)}
        return values


def score(
    probabilities: np.ndarray,
    labels: np.ndarray,
    soft: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> Scores:
    """Scores of probabilities (example, class) against labels (example,) and vote shares.

    Args:
        clusters: (example,) index of each example's artist; each of its own if None.
    """
    num_moods = probabilities.shape[1]
    truth = np.eye(num_moods)[labels]
    likelihood = np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST)
    moods = range(num_moods)
    if soft is None:
        soft = np.full(probabilities.shape, np.nan)
    voted = np.isfinite(soft).all(axis=1)
    shares, said = soft[voted], probabilities[voted]
    return Scores(
        hard=scores_of_confusion(confusion(probabilities, labels), -np.log(likelihood).mean()),
        roc_auc=tuple(roc_auc(labels == mood, probabilities[:, mood]) for mood in moods),
        pr_auc=tuple(average_precision(labels == mood, probabilities[:, mood]) for mood in moods),
        log_loss=float(-np.log(likelihood).mean()),
        brier=float(np.square(probabilities - truth).sum(axis=1).mean()),
        calibration_error=calibration_error(probabilities, labels, clusters),
        aurc=float(risk_coverage(probabilities, labels)[1].mean()),
        pearson=tuple(correlation(shares[:, mood], said[:, mood]) for mood in moods),
        spearman=tuple(
            correlation(rankdata(shares[:, mood]), rankdata(said[:, mood])) for mood in moods
        ),
        kl=divergence(shares, said),
    )


def score_tracks(predictions: Predictions, *, calibrated: bool = True) -> Scores:
    """Scores of the songs."""
    said = predictions.calibrated if calibrated else predictions.probabilities
    return score(said, predictions.labels, predictions.soft, predictions.clusters)


def score_segments(predictions: Predictions, *, calibrated: bool = True) -> Scores:
    """Scores of the segments, each held against the mood of its song."""
    said = predictions.calibrated_segments if calibrated else predictions.segment_probabilities
    rows = predictions.tracks
    clusters = predictions.clusters[rows]
    return score(said, predictions.labels[rows], predictions.soft[rows], clusters)


def compare_poolings(predictions: Predictions) -> dict[str, Scores]:
    """Scores of the songs under every way of pooling their segments, not calibrated."""
    return {
        pooling: score_tracks(predictions.pooled_by(pooling), calibrated=False)
        for pooling in POOLINGS
    }


def choose_pooling(validation: Predictions) -> str:
    """The pooling with the best macro-F1 on validation; among equals, the lowest log-loss."""
    compared = compare_poolings(validation)
    return min(
        POOLINGS,
        key=lambda pooling: (
            -round(compared[pooling].hard.macro_f1, 9),
            round(compared[pooling].log_loss, 9),
        ),
    )


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts (true mood, predicted mood); of equal probabilities the first mood is predicted."""
    num_moods = probabilities.shape[1]
    cells = labels * num_moods + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=num_moods**2).reshape(num_moods, num_moods)


def roc_auc(is_mood: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a song of the mood scores above another song, ties counting half."""
    num_yes = int(is_mood.sum())
    num_no = len(is_mood) - num_yes
    if not num_yes or not num_no:
        return math.nan
    ranks = rankdata(scores)[is_mood].sum()
    return float((ranks - num_yes * (num_yes + 1) / 2) / (num_yes * num_no))


def average_precision(is_mood: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve as a step function, ties taken together."""
    if not is_mood.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_mood[order])
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # last of each tied group
    precision = hits[last] / (last + 1)
    return float((precision * np.diff(hits[last], prepend=0)).sum() / hits[-1])


def risk_coverage(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of wrong answers among the surest 1, 2, ... songs.

    Songs of equal confidence are taken in the mean over their orders.

    Returns:
        coverage and risk, (example,) each.
    """
    confidence = probabilities.max(axis=1)
    wrong = (probabilities.argmax(axis=1) != labels).astype(float)
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    expected = (np.bincount(group, wrong) / size)[np.sort(group)]
    covered = np.arange(1, len(labels) + 1)
    return covered / len(labels), np.cumsum(expected) / covered


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation; NaN if one side is constant or there are fewer than two values."""
    if len(one) < 2:
        return math.nan
    one, other = one - one.mean(), other - other.mean()
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > SMALLEST else math.nan


def divergence(shares: np.ndarray, said: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of predictions from vote shares (example, class), nats."""
    if not len(shares):
        return math.nan
    ratio = np.log(np.maximum(shares, SMALLEST) / np.maximum(said, SMALLEST))
    return float(np.where(shares > 0, shares * ratio, 0.0).sum(axis=1).mean())
