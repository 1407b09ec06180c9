"""The journey as a table and a figure."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melodai.config import FrontEndConfig, TrainingConfig
from melodai.evaluation.intervals import Interval, score_intervals
from melodai.evaluation.predictions import Predictions

STUDY_ACCURACY = 0.66  # 224 pictures of a leaky split, the best epoch chosen on them
COLOURS = {"artist-disjoint": "#0072b2", "leaky": "#d55e00"}  # Okabe and Ito's


@dataclass(frozen=True, kw_only=True)
class About:
    """How the rows came about.

    Attributes:
        data: name of the folder of songs.
        folds: test parts of the honest rows.
        options: settings laid over every step.
        num_missing: rows that are not trained yet.
    """

    data: str
    folds: tuple[int, ...]
    seed: int
    options: Mapping[str, Any]
    num_missing: int

    @property
    def fold_names(self) -> str:
        """The folds with commas."""
        return ", ".join(map(str, self.folds))

    @property
    def command(self) -> str:
        """What makes these rows."""
        options = {"folds": ",".join(map(str, self.folds)), **self.options, "seed": self.seed}
        flags = [f"--{name.replace('_', '-')} {value}" for name, value in options.items()]
        return " ".join(["melodai-journey", self.data, *flags])


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step under a protocol.

    Attributes:
        scored: "songs", or "excerpts" under the leaky protocol.
        chance: share of the commonest mood among what is scored.
        f1: of each mood.
        epochs, best_epoch: trained in all, and the one that was kept; "" without training.
    """

    step: str
    protocol: str
    is_shuffled: bool
    accuracy: Interval
    macro_f1: Interval
    f1: dict[str, float]
    chance: float
    scored: str
    num_scored: int
    num_artists: int
    epochs: str
    best_epoch: str
    config_hash: str
    commit: str

    @classmethod
    def of(
        cls,
        predictions: Predictions,
        *,
        step: str,
        protocol: str,
        is_shuffled: bool,
        config_hash: str,
        random: np.random.Generator,
    ) -> "Row":
        """Scores of stored predictions."""
        found = score_intervals(predictions, random=random)
        commonest = Counter(predictions.labels.tolist()).most_common(1)[0][1]
        return cls(
            step=step,
            protocol=protocol,
            is_shuffled=is_shuffled,
            accuracy=found["accuracy"],
            macro_f1=found["macro F1"],
            f1={mood: found[f"F1 {mood}"].value for mood in predictions.moods},
            chance=commonest / predictions.num_tracks,
            scored="excerpts" if "#" in str(predictions.names[0]) else "songs",
            num_scored=predictions.num_tracks,
            num_artists=len(np.unique(predictions.clusters)),
            epochs=predictions.provenance["epochs"],
            best_epoch=predictions.provenance.get("best_epoch", ""),
            config_hash=config_hash,
            commit=predictions.provenance["commit"],
        )

    @property
    def label(self) -> str:
        """The step, and whether its labels were shuffled."""
        return self.step + (", labels shuffled" if self.is_shuffled else "")


def write_journey(rows: Sequence[Row], out: Path, about: About) -> None:
    """Writes journey.csv, journey.md and journey.png."""
    out.mkdir(parents=True, exist_ok=True)
    moods = list(dict.fromkeys(mood for row in rows for mood in row.f1))
    with (out / "journey.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("step", "labels", "protocol", "accuracy", "accuracy_low", "accuracy_high",
             "macro_f1", "macro_f1_low", "macro_f1_high", *(f"f1_{mood}" for mood in moods),
             "chance", "scored", "num_scored", "num_artists", "epochs", "best_epoch",
             "config_hash", "commit", "seed")
        )  # fmt: skip
        for row in rows:
            writer.writerow(
                (row.step, "shuffled" if row.is_shuffled else "true", row.protocol,
                 *_bounds(row.accuracy), *_bounds(row.macro_f1),
                 *(f"{row.f1[mood]:.4f}" if mood in row.f1 else "" for mood in moods),
                 f"{row.chance:.4f}", row.scored, row.num_scored, row.num_artists,
                 row.epochs, row.best_epoch, row.config_hash, row.commit, about.seed)
            )  # fmt: skip
    (out / "journey.md").write_text(_markdown(rows, moods, about), encoding="utf-8")
    _draw(rows, out / "journey.png", about)


def _bounds(found: Interval) -> tuple[str, str, str]:
    return f"{found.value:.4f}", f"{found.low:.4f}", f"{found.high:.4f}"


def _markdown(rows: Sequence[Row], moods: Sequence[str], about: About) -> str:
    laid_over = ", ".join(f"{name.replace('_', ' ')} {v}" for name, v in about.options.items())
    lines = [
        "# The study's journey, repeated",
        "",
        "Each step twice. **Artist-disjoint**: songs of artists that were never heard, their "
        "windows pooled, the best epoch chosen on yet other artists. **Leaky**, as the study did "
        "it: overlapping, a little shifted excerpts of the same songs dealt out at random, each "
        "scored alone, the best epoch chosen on the very excerpts that are reported. Whole songs "
        "have no sister excerpts: there, only the artists and the choice of the epoch leak. With "
        "shuffled labels nothing about moods can be learnt: what lies above chance is the leak.",
        "",
        f"    {about.command}",
        "",
        f"The same for all rows: {laid_over}; test fold {about.fold_names} for the "
        f"artist-disjoint ones. {TrainingConfig.epochs} epochs and pictures of "
        f"{FrontEndConfig.image_size} would be a full training; what is less was made smaller so "
        "that the whole takes minutes on two cores. A network shows of the leak only what it has "
        "learnt by heart in its epochs; the rows without a network, which look up the most "
        "similar excerpt, show all of it.",
        *(["", f"Not finished: {about.num_missing} rows are missing."] * bool(about.num_missing)),
        "",
        "| step | protocol | accuracy | macro F1 | F1 of each mood | chance | scored | artists "
        "| epochs (best) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        f1 = ", ".join(f"{mood} {row.f1[mood]:.2f}" for mood in moods if mood in row.f1)
        epochs = f"{row.epochs} ({row.best_epoch})" if row.best_epoch else "none"
        lines.append(
            f"| {row.label} | {row.protocol} | {row.accuracy} | {row.macro_f1} | {f1} | "
            f"{row.chance:.3f} | {row.num_scored} {row.scored} | {row.num_artists} | {epochs} |"
        )
    commits = ", ".join(dict.fromkeys(row.commit for row in rows))
    lines += [
        "",
        "In brackets: 95 % interval, bootstrap over artists. Chance: always the commonest mood of "
        "what is scored; a guess by the moods' shares is right less often. The study itself "
        f"reported {STUDY_ACCURACY:.2f}. Seed {about.seed}, "
        f"commit {commits}.",
        "",
    ]
    return "\n".join(lines)


def _draw(rows: Sequence[Row], path: Path, about: About) -> None:
    from melodai.evaluation.figures import new_figure, save_figure

    labels = list(dict.fromkeys(row.label for row in rows))
    songs = max((row.num_scored for row in rows if row.scored == "songs"), default=0)
    excerpts = max((row.num_scored for row in rows if row.scored == "excerpts"), default=0)
    figure, axes = new_figure(
        "The study's journey, by its protocol and by an honest one",
        f"{about.data}, test fold {about.fold_names} (n = {songs} songs) "
        f"against a random split of excerpts (n = {excerpts})",
        10,
        1.8 + 0.6 * len(labels),
    )
    axis = axes[0, 0]
    for row in rows:
        shift = 0.14 if row.protocol == "leaky" else -0.14
        y = labels.index(row.label) + shift
        axis.plot(
            row.accuracy.value, y, "s" if row.protocol == "leaky" else "o",
            color=COLOURS[row.protocol], markersize=7, label=row.protocol,
        )  # fmt: skip
        axis.hlines(y, row.accuracy.low, row.accuracy.high, color=COLOURS[row.protocol], lw=2)
        axis.plot(
            [row.chance] * 2, [y - 0.12, y + 0.12], color="0.45", lw=2,
            label="always the commonest mood",
        )  # fmt: skip
    axis.axvline(STUDY_ACCURACY, color="0.2", ls=":", label="reported by the study")
    axis.set_yticks(range(len(labels)), [label.replace(", ", ",\n") for label in labels])
    axis.set(xlim=(0, 1), xlabel="accuracy, with its 95 % interval over artists")
    axis.invert_yaxis()
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    shown = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))  # one entry a label
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False)
    save_figure(figure, path)
