"""Figures of the sound itself: mean spectrograms of the moods and their acoustic features."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from melodai.evaluation.features import FEATURES
from melodai.evaluation.figures import new_figure
from melodai.evaluation.separation import Separation
from melodai.palette import GREY, colour_of, mark_of

DYNAMIC_RANGE_DB = 80.0
LABELLED_HZ = (100, 300, 1000, 3000, 10000)


class MeanSpectrograms:
    """Mean log-mel picture of each mood, song by song, levels relative to each song's maximum."""

    def __init__(self, num_moods: int) -> None:
        self.counts = np.zeros(num_moods, dtype=np.int64)
        self.sums: np.ndarray | None = None

    def add(self, decibels: torch.Tensor, mood: int) -> None:
        """Adds a song's log-mel (mel, frame) in dB; all songs need the same number of frames."""
        picture = (decibels - decibels.max()).clamp_min(-DYNAMIC_RANGE_DB).double().numpy()
        if self.sums is None:
            self.sums = np.zeros((len(self.counts), *picture.shape))
        self.sums[mood] += picture
        self.counts[mood] += 1

    @property
    def means(self) -> np.ndarray:
        """(class, mel, frame) in dB; NaN for a mood without songs."""
        with np.errstate(invalid="ignore"):
            return self.sums / self.counts[:, None, None]


def spectrogram_figure(
    pictures: MeanSpectrograms,
    moods: Sequence[str],
    mel_hz: np.ndarray,
    seconds: float,
    described: str,
) -> Figure:
    """Mean spectrograms side by side, and below how each departs from the mean of the moods.

    Args:
        mel_hz: (mel,) centre of each band in Hz.
        seconds: length of the pictures.
    """
    means = pictures.means
    figure, axes = new_figure(
        "Mean spectrograms of the moods", described, 1.5 + 3.4 * len(moods), 6.6, len(moods), 2
    )
    departures = means - np.nanmean(means, axis=0)
    most = max(float(np.nanquantile(np.abs(departures), 0.995)), 0.1)
    low, high = np.nanquantile(means, [0.005, 0.999])
    extent = (0, seconds, 0, len(mel_hz))
    shown = [hz for hz in LABELLED_HZ if mel_hz[0] <= hz <= mel_hz[-1]]
    places = np.interp(shown, mel_hz, np.arange(len(mel_hz)) + 0.5)
    kinds = (
        (means, "magma", low, high, "mean level below\nthe loudest [dB]"),
        (departures, "PuOr_r", -most, most, "difference from the mean\nof the moods [dB]"),
    )
    for axes_row, (values, colours, lowest, highest, label) in zip(axes, kinds, strict=True):
        for index, (axis, mood) in enumerate(zip(axes_row, moods, strict=True)):
            picture = axis.imshow(
                values[index], origin="lower", aspect="auto", extent=extent, cmap=colours,
                vmin=lowest, vmax=highest, interpolation="nearest",
            )  # fmt: skip
            axis.set_title(f"{mood} (n = {pictures.counts[index]} songs)", fontsize=10)
            axis.set_yticks(places, [f"{hz:,}" for hz in shown] if index == 0 else [])
        axes_row[0].set_ylabel("frequency [Hz]")
        figure.colorbar(picture, ax=list(axes_row), label=label, pad=0.01, extend="both")
    for axis in axes[1]:
        axis.set_xlabel("time [s]")
    return figure


def feature_figure(
    features: np.ndarray,
    labels: np.ndarray,
    moods: Sequence[str],
    described: str,
    separation: Mapping[str, Separation] | None = None,
    *,
    boxes: bool = True,
) -> Figure:
    """Acoustic features (song, feature) by mood, as box plots or as distributions.

    A box holds the middle half of the songs, its line is the median, the whiskers reach 1.5 times
    the box at most, and each dot is a song.
    """
    columns = 4
    rows = -(-(len(FEATURES) + 1) // columns)
    kind = "box plots" if boxes else "distributions"
    figure, axes = new_figure(
        f"Acoustic features of the moods: {kind}", described, 3.3 * columns, 0.7 + 3.2 * rows,
        columns, rows,
    )  # fmt: skip
    for index, (axis, name) in enumerate(zip(axes.flat, FEATURES.values(), strict=False)):
        groups = [features[labels == mood, index] for mood in range(len(moods))]
        title, _, unit = name.partition(" [")
        if boxes:
            _draw_boxes(axis, groups, moods)
            axis.set_ylabel(unit.rstrip("]"))
        else:
            _draw_densities(axis, groups, moods)
            axis.set_xlabel(unit.rstrip("]"))
        axis.set_title(title, fontsize=9.5)
    for axis in axes.flat[len(FEATURES) :]:
        axis.axis("off")
    note = axes.flat[len(FEATURES)]
    for index, mood in enumerate(moods):
        number = int((labels == index).sum())
        note.plot(
            [], [], marker=mark_of(index), color=colour_of(index), label=f"{mood} (n = {number})"
        )
    note.legend(loc="upper left", frameon=False)
    if separation:
        lines = ["separation score (p)"] + [
            f"{name}:\n   {found.score}, p = {found.p_value:.4f}"
            for name, found in separation.items()
        ]
        note.text(0, 0.58, "\n".join(lines), va="top", fontsize=8, transform=note.transAxes)
    return figure


def _draw_boxes(axis, groups: list[np.ndarray], moods: Sequence[str]) -> None:
    drawn = axis.boxplot(
        groups, widths=0.6, showfliers=False, patch_artist=True,
        medianprops={"color": "black", "linewidth": 1.5},
    )  # fmt: skip
    random = np.random.default_rng(0)  # spreads the dots sideways, nothing else
    for index, (box, values) in enumerate(zip(drawn["boxes"], groups, strict=True)):
        box.set(facecolor=colour_of(index), alpha=0.35)
        aside = index + 1 + random.uniform(-0.2, 0.2, size=len(values))
        axis.plot(aside, values, mark_of(index), color=colour_of(index), markersize=2, alpha=0.6)
    axis.set_xticks(range(1, len(moods) + 1), moods, fontsize=8)
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.7)


def _draw_densities(axis, groups: list[np.ndarray], moods: Sequence[str]) -> None:
    from scipy.stats import gaussian_kde

    everything = np.concatenate(groups)
    margin = 0.08 * (np.ptp(everything) or 1.0)
    grid = np.linspace(everything.min() - margin, everything.max() + margin, 200)
    for index, values in enumerate(groups):
        if len(values) > 2 and values.std() > 0:
            density = gaussian_kde(values)(grid)
            axis.plot(
                grid, density, color=colour_of(index), marker=mark_of(index), markersize=4,
                markevery=(index * 7 % 25, 25),
            )  # fmt: skip
            axis.fill_between(grid, density, color=colour_of(index), alpha=0.12)
            axis.axvline(np.median(values), color=colour_of(index), linestyle=":", linewidth=1)
    axis.set_yticks([])
    axis.set_ylabel("density (dotted: median)", color=GREY, fontsize=8)
