"""Scores of mood predictions: running counts on the device, and pooling of segments into tracks.

`MoodMetrics` costs no device synchronisation until `compute`; everything it knows is a confusion
matrix and the sum of the loss, so that its state adds up over batches, processes and restarts.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

POOLINGS = ("mean", "logit", "median", "max", "vote")
SMALLEST = 1e-12  # probability below which a logarithm is not taken


@dataclass(frozen=True, kw_only=True)
class MoodScores:
    """Scores of hard predictions; every share is within [0, 1].

    `f1`, `precision`, `recall` have one entry a mood, 0 where nothing was predicted or nothing
    was there. `balanced_accuracy` averages the recall of the moods that are there, `macro_f1` the
    F1 of the moods that are there or were predicted, as scikit-learn does.
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    f1: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]  # (true mood, predicted mood)
    num_examples: int


def scores_of_confusion(confusion: ArrayLike, loss: float = float("nan")) -> MoodScores:
    """Scores of a confusion matrix (true mood, predicted mood) of counts.

    All are NaN if the matrix is empty, since nothing is known then.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    hits, true, predicted = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    total = int(counts.sum())
    recall = hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    nothing = float("nan")
    return MoodScores(
        loss=float(loss),
        accuracy=float(hits.sum() / total) if total else nothing,
        balanced_accuracy=float(recall[true > 0].mean()) if total else nothing,
        macro_f1=float(f1[true + predicted > 0].mean()) if total else nothing,
        f1=tuple(f1.tolist()),
        precision=tuple((hits / np.maximum(predicted, 1)).tolist()),
        recall=tuple(recall.tolist()),
        confusion=tuple(tuple(row) for row in counts.tolist()),
        num_examples=total,
    )


class MoodMetrics:
    """Confusion matrix and loss, summed up on the device batch by batch.

    Args:
        num_moods: number of classes.
        device: where `update` receives its tensors.
    """

    def __init__(self, num_moods: int, device: torch.device | str = "cpu") -> None:
        self.num_moods = num_moods
        self.confusion = torch.zeros(num_moods * num_moods, dtype=torch.int64, device=device)
        # Apple's devices have no float64; the sum of an epoch's losses survives float32 there.
        wide = torch.float32 if self.confusion.device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=wide, device=device)

    @torch.no_grad()
    def update(self, logits: Tensor, targets: Tensor, loss_sum: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (batch, class); any monotonous score does.
            targets: (batch,) class indices, or (batch, class) soft targets, whose largest counts.
            loss_sum: the loss summed over the examples of the batch, a scalar.
        """
        if targets.ndim == 2:
            targets = targets.argmax(dim=1)
        cells = targets.long() * self.num_moods + logits.argmax(dim=1)
        # Not bincount: it asks the device for its largest value, a synchronisation.
        self.confusion.scatter_add_(0, cells, torch.ones_like(cells))
        self.loss_sum += loss_sum.detach().to(self.loss_sum.dtype)

    def all_reduce(self) -> None:
        """Adds up the counts of all processes, in every process; nothing to do if there is one."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self.confusion)
            torch.distributed.all_reduce(self.loss_sum)

    def compute(self) -> MoodScores:
        """The scores so far, loss a mean over examples; waits for the device."""
        confusion = self.confusion.reshape(self.num_moods, self.num_moods).cpu().numpy()
        total = int(confusion.sum())
        loss = float(self.loss_sum) / total if total else float("nan")
        return scores_of_confusion(confusion, loss)

    def reset(self) -> None:
        """Forgets everything."""
        self.confusion.zero_()
        self.loss_sum.zero_()

    def state(self) -> dict[str, Tensor]:
        """The counts as plain tensors (copies), for a checkpoint within an epoch."""
        return {"confusion": self.confusion.clone(), "loss_sum": self.loss_sum.clone()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes up the counts that `state` gave."""
        self.confusion.copy_(state["confusion"])
        self.loss_sum.copy_(state["loss_sum"])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, over the last axis."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def at_temperature(probabilities: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """Probabilities made softer (temperature > 1) or sharper (< 1)."""
    return softmax(np.log(np.maximum(probabilities, SMALLEST)) / temperature)


def pool_by_track(
    probabilities: ArrayLike, tracks: ArrayLike, num_tracks: int, how: str = "mean"
) -> np.ndarray:
    """Probabilities of tracks from those of their segments.

    The values of each track are sorted before they are added, so that the result is the same to
    the last bit in whatever order the segments come.

    Args:
        probabilities: (segment, class), rows summing to 1.
        tracks: (segment,) index of the track of each segment.
        num_tracks: rows of the result.
        how: "mean"; "logit", the mean of the log-probabilities (geometric mean); "median"; "max",
            the surest segment for each mood; "vote", the share of segments that chose the mood.

    Returns:
        (track, class) float64, rows summing to 1; NaN for a track without segments.

    Raises:
        ValueError: an unknown way of pooling, or a track index out of range.
    """
    if how not in POOLINGS:
        raise ValueError(f"pooling {how!r} is unknown; choose one of {', '.join(POOLINGS)}")
    values = np.asarray(probabilities, dtype=np.float64)
    tracks = np.asarray(tracks, dtype=np.int64)
    if tracks.size and not 0 <= tracks.min() <= tracks.max() < num_tracks:
        raise ValueError(f"track {tracks.max()} is outside the {num_tracks} tracks to pool into")
    if how == "logit":
        values = np.log(np.maximum(values, SMALLEST))
    elif how == "vote":
        values = np.eye(values.shape[1])[values.argmax(axis=1)]

    counts = np.bincount(tracks, minlength=num_tracks)
    present = np.flatnonzero(counts)
    counts = counts[present]
    starts = np.cumsum(counts) - counts
    pooled = np.full((num_tracks, values.shape[1]), np.nan)
    for mood in range(values.shape[1]):
        column = values[np.lexsort((values[:, mood], tracks)), mood]  # by track, then by value
        if how == "max":
            pooled[present, mood] = column[starts + counts - 1] if len(column) else []
        elif how == "median":
            middle = column[starts + (counts - 1) // 2] + column[starts + counts // 2]
            pooled[present, mood] = middle / 2
        else:
            pooled[present, mood] = np.add.reduceat(column, starts) / counts if len(column) else []
    if how == "logit":
        pooled = np.exp(pooled - pooled.max(axis=1, keepdims=True))
    return pooled / pooled.sum(axis=1, keepdims=True)
