"""The loss: cross-entropy with soft targets, label smoothing and balanced weights."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Reduction: the mean over the examples of weight(example) * cross-entropy(example). The weights are
# not divided by their sum in the batch, so that the loss of a batch is the mean of the losses of
# its parts, on however many processes these are computed.


def mood_loss(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of each example, weighted by its mood.

    With targets q, smoothed to q' = (1 - s) q + s / C, and weights w_c of the classes:
    loss = (Σ_c w_c q_c) · (−Σ_c q'_c log p_c).

    Args:
        logits: `(batch, class)`.
        targets: `(batch, class)`, shares that sum to 1; one-hot for hard labels.
        weights: `(class,)`, or of each example `(batch, class)`, mean about 1.
        smoothing: share of the target spread evenly over all classes, in [0, 1).

    Returns:
        `(batch,)`.
    """
    smoothed = targets * (1 - smoothing) + smoothing / targets.shape[1]
    cross_entropy = -(smoothed * F.log_softmax(logits.float(), dim=1)).sum(1)
    return (targets * weights).sum(1) * cross_entropy


def balanced_class_weights(moods: Sequence[int], num_classes: int) -> Tensor:
    """Weights `(class,)` by the inverse of the number of songs; 0 for a mood without any.

    Args:
        moods: class index of each training song.

    Source: scikit-learn, `compute_class_weight("balanced")`: n / (classes · songs of the class).
    """
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(moods)
    weights = torch.zeros(num_classes)
    weights[torch.from_numpy(present)] = torch.from_numpy(
        compute_class_weight("balanced", classes=present, y=np.asarray(moods))
    ).float()
    return weights


def one_hot(moods: Tensor, num_classes: int) -> Tensor:
    """`(batch,)` class indices -> `(batch, class)` float targets."""
    return F.one_hot(moods, num_classes).float()
