"""How much each part of a sound speaks for a mood."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# A value is a change of the log-odds of a mood: ln(p / (1 - p)), p its calibrated probability.


@dataclass(frozen=True, kw_only=True)
class Contributions:
    """Changes of the log-odds, positive where the sound speaks for the mood.

    Attributes:
        hz: `(band + 1,)` edges.
        seconds: `(column + 1,)` edges.
        values: `(band, column)`, of each cell.
        over_hz: `(band,)`, of each band at all times.
        over_seconds: `(column,)`, of all bands at each time.
    """

    hz: np.ndarray
    seconds: np.ndarray
    values: np.ndarray
    over_hz: np.ndarray
    over_seconds: np.ndarray


@dataclass(frozen=True)
class Span:
    """A piece of an axis and what it contributes."""

    start: float
    stop: float
    value: float


def log_odds(logits: Tensor, mood: int, temperature: float) -> Tensor:
    """Logit of a mood's calibrated probability: `(batch, class) -> (batch,)`."""
    scaled = logits.float() / temperature
    others = torch.cat([scaled[:, :mood], scaled[:, mood + 1 :]], dim=1)
    return scaled[:, mood] - others.logsumexp(1)


def rebin(values: np.ndarray, edges: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Shares the last axis out to other cells by their overlap; the sum stays where they cover it.

    Shape: `(..., cell)`, `(cell + 1,)`, `(new + 1,)` -> `(..., new)`.
    """
    until = np.concatenate([np.zeros((*values.shape[:-1], 1)), values.cumsum(-1)], axis=-1)
    rows = until.reshape(-1, until.shape[-1])
    found = np.stack([np.interp(wanted, edges, row) for row in rows])
    return np.diff(found, axis=-1).reshape(*values.shape[:-1], len(wanted) - 1)


def strongest(
    values: np.ndarray, edges: np.ndarray, *, count: int = 3, width: float = 0.0
) -> list[Span]:
    """The spans that speak most for the mood, and those that speak most against it.

    Args:
        values: `(cell,)`.
        width: cells are joined until they are at least so wide.
    """
    step = 1
    while step < len(values) and np.diff(edges[::step]).max() < width:
        step += 1
    kept = np.append(edges[:-1:step], edges[-1])
    sums = np.add.reduceat(values, np.arange(0, len(values), step))
    order = np.argsort(-sums, kind="stable")
    chosen = [i for i in order[:count] if sums[i] > 0] + [
        i for i in order[::-1][:count] if sums[i] < 0
    ]
    return [Span(float(kept[i]), float(kept[i + 1]), float(sums[i])) for i in chosen]


def mean_of(parts: Sequence[np.ndarray], covered: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the parts that cover a cell; 0 where none does."""
    times = np.sum(covered, axis=0)
    return np.sum(parts, axis=0) / np.maximum(times, 1e-9)
