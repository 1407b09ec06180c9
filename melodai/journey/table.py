"""The journey as a table and a figure."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melodai.evaluation.intervals import Interval, score_intervals
from melodai.evaluation.predictions import Predictions

STUDY_ACCURACY = 0.66  # 224 pictures of a leaky split, the best epoch chosen on them
COLOURS = {"artist-disjoint": "#0072b2", "leaky": "#d55e00"}  # Okabe and Ito's


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step under a protocol.

    Attributes:
        scored: "songs", or "excerpts" under the leaky protocol.
        chance: share of the commonest mood among what is scored.
        f1: of each mood.
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
    commit: str

    @classmethod
    def of(
        cls,
        step: str,
        protocol: str,
        is_shuffled: bool,
        predictions: Predictions,
        *,
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
            commit=predictions.provenance["commit"],
        )

    @property
    def label(self) -> str:
        """The step, and whether its labels were shuffled."""
        return self.step + (", labels shuffled" if self.is_shuffled else "")


def write_journey(
    rows: Sequence[Row], out: Path, options: Mapping[str, Any], folds: Sequence[int], seed: int
) -> None:
    """Writes journey.csv, journey.md and journey.png."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "journey.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("step", "labels", "protocol", "accuracy", "accuracy_low", "accuracy_high",
             "macro_f1", "macro_f1_low", "macro_f1_high", "chance", "scored", "num_scored",
             "num_artists", "epochs", "commit", "f1")
        )  # fmt: skip
        for row in rows:
            values = (*_bounds(row.accuracy), *_bounds(row.macro_f1), f"{row.chance:.4f}")
            f1 = "; ".join(f"{mood} {value:.3f}" for mood, value in row.f1.items())
            writer.writerow(
                (row.step, "shuffled" if row.is_shuffled else "true", row.protocol, *values,
                 row.scored, row.num_scored, row.num_artists, row.epochs, row.commit, f1)
            )  # fmt: skip
    (out / "journey.md").write_text(_markdown(rows, options, folds, seed), encoding="utf-8")
    _draw(rows, out / "journey.png", folds)


def _bounds(found: Interval) -> tuple[str, str, str]:
    return f"{found.value:.4f}", f"{found.low:.4f}", f"{found.high:.4f}"


def _markdown(
    rows: Sequence[Row], options: Mapping[str, Any], folds: Sequence[int], seed: int
) -> str:
    made_smaller = ", ".join(f"{name} {value}" for name, value in options.items())
    lines = [
        "# The study's journey, repeated",
        "",
        "Each step twice: on songs of artists that were never heard (the best epoch chosen on "
        "other artists again), and as the study did it, on excerpts dealt out at random, where "
        "overlapping excerpts of the same songs were learnt and the best epoch is chosen on what "
        f"is reported. Test folds {', '.join(map(str, folds))}; seed {seed}. The same for all "
        f"rows, small so that the whole takes minutes: {made_smaller}. Made by `melodai-journey`.",
        "",
        "| step | protocol | accuracy | macro F1 | chance | scored | artists | epochs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.label} | {row.protocol} | {row.accuracy} | {row.macro_f1} | {row.chance:.3f} | "
        f"{row.num_scored} {row.scored} | {row.num_artists} | {row.epochs} |"
        for row in rows
    ]
    lines += [
        "",
        "In brackets: 95 % interval, bootstrap over artists. Chance: always the commonest mood of "
        f"what is scored. The study itself reported {STUDY_ACCURACY:.2f}.",
        "",
    ]
    return "\n".join(lines)


def _draw(rows: Sequence[Row], path: Path, folds: Sequence[int]) -> None:
    from melodai.evaluation.figures import new_figure, save_figure

    labels = list(dict.fromkeys(row.label for row in rows))
    songs = max((row.num_scored for row in rows if row.scored == "songs"), default=0)
    figure, axes = new_figure(
        "The study's journey, by its protocol and by an honest one",
        f"emotify, test fold {', '.join(map(str, folds))} (n = {songs} songs) "
        "against a random split of excerpts",
        10,
        1.8 + 0.6 * len(labels),
    )
    axis = axes[0, 0]
    for row in rows:
        shift = 0.14 if row.protocol == "leaky" else -0.14
        y = labels.index(row.label) + shift
        first = row.label == labels[0]
        axis.plot(
            row.accuracy.value, y, "s" if row.protocol == "leaky" else "o",
            color=COLOURS[row.protocol], markersize=7, label=row.protocol if first else None,
        )  # fmt: skip
        axis.hlines(y, row.accuracy.low, row.accuracy.high, color=COLOURS[row.protocol], lw=2)
        axis.plot(
            [row.chance] * 2, [y - 0.12, y + 0.12], color="0.45", lw=2,
            label="always the commonest mood" if first and row.protocol == "leaky" else None,
        )  # fmt: skip
    axis.axvline(STUDY_ACCURACY, color="0.2", ls=":", label="reported by the study")
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlim=(0, 1), xlabel="accuracy, with its 95 % interval over artists")
    axis.invert_yaxis()
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    save_figure(figure, path)
