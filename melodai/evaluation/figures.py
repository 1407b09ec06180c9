"""Figures of predictions: every number in them is computed from stored records.

Where colour carries meaning, position or a mark carries it as well.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from melodai.errors import DataError
from melodai.evaluation.calibration_error import calibration_error, reliability
from melodai.evaluation.ceiling import Agreement, Ceiling
from melodai.evaluation.intervals import Interval
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.scores import confusion, risk_coverage
from melodai.legible import legible
from melodai.palette import COLOURS, GREY, colour_of, mark_of

DPI = 150


def new_figure(
    title: str, about: str, width: float, height: float, columns: int = 1, rows: int = 1
) -> tuple[Figure, np.ndarray]:
    """An empty figure with its title and, below, what data it shows; axes (row, column)."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=13, fontweight="bold")
    figure.text(0.5, 1 - 0.36 / height, about, ha="center", va="top", fontsize=9, color=GREY)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Figure, path: Path) -> None:
    """Writes the figure in the format of the path's ending (.png, .svg, .pdf)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    legible(figure).savefig(path)


def about(predictions: Predictions) -> str:
    """Data set, part and number of songs, for the line under a title."""
    artists = len(np.unique(predictions.clusters))
    return (
        f"{predictions.data}, {predictions.split} part, "
        f"n = {predictions.num_tracks} songs by {artists} artists"
    )


def run_figures(
    predictions: Predictions,
    intervals: Mapping[str, Interval],
    name: str,
    history: Path | None = None,
    human: Agreement | None = None,
) -> dict[str, Figure]:
    """The figures of one run by their kind; training curves where there is a history."""
    drawn = {
        "moods": mood_bars_figure(predictions, intervals, human),
        "confusion": confusion_figure(predictions),
        "reliability": reliability_figure(predictions),
    }
    if history is not None:
        drawn["training"] = history_figure(history, f"{predictions.data}, {name}")
    return drawn


def confusion_figure(predictions: Predictions) -> Figure:
    """Confusion matrix of the songs: counts, and shares of each true mood as colour."""
    counts = confusion(predictions.calibrated, predictions.labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.95 * len(counts)
    figure, axes = new_figure("Confusion of moods", about(predictions), size + 0.9, size)
    axis = axes[0, 0]
    axis.spines[:].set_visible(False)
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, row in enumerate(counts):
        for said, count in enumerate(row):
            colour = "white" if shares[true, said] > 0.55 else "black"
            text = f"{count}\n{shares[true, said]:.0%}"
            axis.text(said, true, text, ha="center", va="center", color=colour)
    totals = counts.sum(axis=1)
    names = predictions.moods
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(
        range(len(names)),
        [f"{name}\n(n = {total})" for name, total in zip(names, totals, strict=True)],
    )
    axis.tick_params(length=0)
    axis.set_xlabel("predicted mood")
    axis.set_ylabel("mood by its listeners or label")
    bar = figure.colorbar(picture, ax=axis, shrink=0.8, format=PercentFormatter(1))
    bar.set_label("share of the songs of the true mood")
    bar.outline.set_visible(False)
    return figure


def mood_bars_figure(
    predictions: Predictions, intervals: Mapping[str, Interval], human: Agreement | None = None
) -> Figure:
    """Precision, recall and F1 of each mood with 95 % intervals, and listeners' F1 as a line."""
    moods = predictions.moods
    figure, axes = new_figure(
        "How well each mood is recognised", about(predictions), 3.2 + 1.9 * len(moods), 4.8
    )
    axis = axes[0, 0]
    middle = np.arange(len(moods))
    for place, name in enumerate(("precision", "recall", "F1")):
        rows = [intervals[f"{name} {mood}"] for mood in moods]
        where = middle + (place - 1) * 0.26
        axis.bar(
            where, [row.value for row in rows], 0.23, color=COLOURS[(0, 1, 3)[place]], label=name
        )
        error_bars(axis, where, rows)
        for x, row in zip(where, rows, strict=True):
            axis.text(x, 0.015, f"{row.value:.2f}", ha="center", color="white", fontsize=8)
    if human is not None:
        for x, value in zip(middle, human.f1, strict=True):
            axis.plot(
                [x - 0.42, x + 0.42], [value] * 2, color="black", linestyle="--", linewidth=1.4
            )
            axis.annotate(
                f"{value:.2f}", (x + 0.42, value), xytext=(2, 0), textcoords="offset points",
                va="center", fontsize=8,
            )  # fmt: skip
        line = "F1 of half of the listeners\nagainst the other half"
        axis.plot([], [], color="black", linestyle="--", label=line)
    share_axis(axis, "score")
    axis.set_xticks(middle, moods)
    axis.set_xlim(-0.55, len(moods) - 0.3)
    axis.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        title="on the bars: 95 % interval\nover artists",
    )  # fmt: skip
    return figure


def error_bars(axis: Axes, where: Sequence[float], rows: Sequence[Interval]) -> None:
    """Draws intervals at horizontal positions; nothing where undefined."""
    for x, row in zip(where, rows, strict=True):
        axis.plot([x, x], [row.low, row.high], color="black", linewidth=1.3)


def share_axis(axis: Axes, label: str) -> None:
    """Vertical axis from 0 to 1 with a light grid."""
    axis.set_ylim(0, 1)
    axis.set_ylabel(label)
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.7)
    axis.set_axisbelow(True)


def reliability_figure(predictions: Predictions) -> Figure:
    """How often songs said with some confidence are right, before and after calibration."""
    figure, axes = new_figure(
        "Is it right as often as it is sure?", about(predictions), 8.4, 4.9, 2
    )
    fitted = (predictions.temperatures != 1).any()
    kinds = {
        "as the model says": predictions.probabilities,
        "temperature fitted on validation" if fitted else "no temperature fitted": (
            predictions.calibrated
        ),
    }
    for axis, (name, said) in zip(axes[0], kinds.items(), strict=True):
        confidence, right, number = reliability(said, predictions.labels)
        edges = np.linspace(0, 1, len(number) + 1)
        filled = number > 0
        axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
        axis.bar(
            edges[:-1][filled], right[filled], edges[1], align="edge", color="#56B4E9",
            edgecolor="white", label="share right",
        )  # fmt: skip
        axis.plot(confidence[filled], right[filled], "o", color=COLOURS[1], markersize=4)
        for x, height, count in zip(edges[:-1], right, number, strict=True):
            if count:
                axis.text(x + 0.05, height + 0.015, f"{count}", ha="center", fontsize=7.5)
        share_axis(axis, "share of songs that are right")
        axis.set_ylim(0, 1.06)
        axis.set_xlim(0, 1)
        axis.set_xlabel("confidence (number of songs above each bar)")
        error = calibration_error(said, predictions.labels, predictions.clusters)
        axis.set_title(f"{name}\ncalibration error, debiased: {error:.3f}", fontsize=10)
    axes[0, 0].legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def risk_coverage_figure(runs: Mapping[str, Predictions]) -> Figure:
    """Accuracy that is left if the songs that a run is least sure of are set aside."""
    first = next(iter(runs.values()))
    figure, axes = new_figure("Accuracy if unsure songs are set aside", about(first), 7.4, 4.8)
    axis = axes[0, 0]
    for index, (name, predictions) in enumerate(runs.items()):
        coverage, risk = risk_coverage(predictions.calibrated, predictions.labels)
        shown = coverage >= min(
            10 / len(coverage), 1
        )  # of fewer than 10 songs a share says nothing
        axis.plot(
            coverage[shown], 1 - risk[shown], color=colour_of(index),
            marker=mark_of(index), markevery=0.12, markersize=5,
            label=f"{name} (AURC {risk.mean():.3f})",
        )  # fmt: skip
        axis.axhline(1 - risk[-1], color=colour_of(index), linewidth=0.7, linestyle=":")
    share_axis(axis, "accuracy on the songs kept")
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.set_xlim(0, 1.02)
    axis.set_xlabel("share of songs kept, the surest first (dotted: accuracy on all songs)")
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def comparison_figure(
    runs: Mapping[str, Mapping[str, Interval]],
    described: str,
    ceiling: Ceiling | None = None,
    scores: Sequence[str] = ("accuracy", "macro F1"),
) -> Figure:
    """Several runs side by side with 95 % intervals, and the lines between which they must lie.

    Args:
        runs: the intervals of each run's scores, by its name.
        described: data set, part and number of songs.
        ceiling: of the same songs; drawn for accuracy and macro-F1.
    """
    lines = _reference_lines(ceiling, scores) if ceiling is not None else {}
    height = 1.9 + 0.5 * len(runs) + 0.25 * len(lines)
    figure, axes = new_figure("Runs compared", described, 10.5, height, len(scores))
    for column, (axis, score) in enumerate(zip(axes[0], scores, strict=True)):
        for row, intervals in enumerate(runs.values()):
            found = intervals[score]
            axis.plot([found.low, found.high], [row, row], color="black", linewidth=2.2)
            axis.plot(found.value, row, "o", color="black", markersize=7)
            axis.annotate(
                f"{found.value:.3f}", (found.value, row), xytext=(0, 7),
                textcoords="offset points", ha="center", fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
            )  # fmt: skip
        for index, values in enumerate(lines.values()):
            colour, style = _line_style(index)
            axis.axvline(values[column], color=colour, linestyle=style, linewidth=1.6, zorder=1)
        axis.set_yticks(range(len(runs)), list(runs) if column == 0 else [""] * len(runs))
        axis.set_ylim(len(runs) - 0.5, -0.75)
        axis.set_xlim(0, 1)
        axis.set_xlabel(f"{score} (bar: 95 % interval over artists)")
        axis.grid(axis="x", color="#DDDDDD", linewidth=0.7)
    for index, (name, values) in enumerate(lines.items()):
        colour, style = _line_style(index)
        told = ", ".join(
            f"{score} {value:.3f}" for score, value in zip(scores, values, strict=True)
        )
        axes[0, 0].plot([], [], color=colour, linestyle=style, label=f"{name}: {told}")
    if lines:
        figure.legend(loc="outside lower center", fontsize=8.5, frameon=False)
    return figure


def _line_style(index: int) -> tuple[str, str]:
    return COLOURS[index % 6], ("--", "-.", ":")[index % 3]


def _reference_lines(ceiling: Ceiling, scores: Sequence[str]) -> dict[str, list[float]]:
    """Value of each score, NaN if it has none, by the name of the line."""
    sources = {f"shortcut, {name}": found for name, found in ceiling.shortcuts.items()} | {
        "one listener against the rest": ceiling.one_listener,
        "half of the listeners against the other half": ceiling.halves,
        "labels of resampled listeners (optimistic bound)": ceiling.resampled,
    }
    fields = [{"accuracy": "accuracy", "macro F1": "macro_f1"}.get(score, "") for score in scores]
    return {
        name: [getattr(found, field, np.nan) for field in fields]
        for name, found in sources.items()
        if found is not None
    }


def history_figure(history: Path, described: str) -> Figure:
    """Training curves from a run's history.csv: loss, accuracy, macro-F1 and learning rate.

    Raises:
        DataError: the file is missing or is no history.
    """
    try:
        with history.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
        epochs = columns["epoch"]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{history} is no training history: {error!r}") from error
    figure, axes = new_figure("Training", f"{described}, {len(rows)} epochs", 11, 6.4, 2, 2)
    labels = {"loss": "loss", "accuracy": "accuracy", "macro_f1": "macro-F1"}
    for axis, (key, label) in zip(axes.flat, labels.items(), strict=False):
        for part, colour, style in (("train", COLOURS[0], "--"), ("validation", COLOURS[1], "-")):
            if f"{part}_{key}" in columns:
                axis.plot(epochs, columns[f"{part}_{key}"], style, color=colour, label=part)
        if key != "loss":
            share_axis(axis, label)
        axis.set_ylabel(label)
    if "learning_rate" in columns:
        axes[1, 1].step(epochs, columns["learning_rate"], where="post", color=COLOURS[3])
        axes[1, 1].set_yscale("log")
    axes[1, 1].set_ylabel("learning rate")
    best = epochs[np.flatnonzero(columns.get("is_best", np.zeros(len(rows))))]
    for axis in axes.flat:
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(best):
            line = "best epoch (validation)"
            axis.axvline(best[-1], color=GREY, linestyle=":", linewidth=1.2, label=line)
    axes[0, 0].legend(frameon=False, fontsize=9)
    return figure
