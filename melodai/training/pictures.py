"""The pictures that a run shows in TensorBoard."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor


def confusion_matrix(probabilities: np.ndarray, labels: np.ndarray, moods: Sequence[str]) -> Figure:
    """Songs of each mood (row) that were called each mood (column).

    Args:
        probabilities: `(track, class)`.
        labels: `(track,)` class indices.
    """
    counts = np.zeros((len(moods), len(moods)), int)
    np.add.at(counts, (labels, probabilities.argmax(1)), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(1.6 + 1.1 * len(moods), 1.3 + 1.0 * len(moods)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(moods)), moods)
    axes.set_yticks(range(len(moods)), moods)
    axes.set(xlabel="predicted", ylabel="listeners", title=f"validation, {len(labels)} songs")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center",
                  color=colour)  # fmt: skip
    figure.colorbar(image, ax=axes, label="share of the mood's songs", fraction=0.046)
    return figure


def log_mel_grid(
    log_mels: Tensor, moods: Sequence[str], seconds: float | None, columns: int = 4
) -> Figure:
    """Pictures `(batch, 1, height, width)` with their moods, low frequencies at the bottom."""
    rows = -(-len(log_mels) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.6 * rows), layout="constrained")
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if index >= len(log_mels):
            axes.set_visible(False)
            continue
        axes.imshow(log_mels[index, 0].float().cpu(), origin="lower", aspect="auto", cmap="magma")
        axes.set_title(moods[index], fontsize=10)
        axes.set_xticks([]), axes.set_yticks([])
    about = "" if seconds is None else f" (about {seconds:.0f} s)"
    figure.supxlabel(f"time{about}", fontsize=10)
    figure.supylabel("mel frequency, low to high", fontsize=10)
    return figure
