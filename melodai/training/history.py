"""`history.csv`: one row an epoch, for any program that reads tables."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melodai.files import replace_text
from melodai.metrics import MoodScores
from melodai.training.monitor import EpochReport


def epoch_row(report: EpochReport, moods: Sequence[str]) -> dict[str, Any]:
    """The columns of one epoch, in the order they are written."""

    def scores(part: str, of: MoodScores) -> dict[str, float]:
        row = {f"{part}_loss": of.loss, f"{part}_accuracy": of.accuracy}
        row[f"{part}_macro_f1"] = of.macro_f1
        return row | {f"{part}_f1_{m}": f1 for m, f1 in zip(moods, of.f1, strict=True)}

    return {
        "epoch": report.epoch,
        **scores("train", report.train),
        **scores("validation", report.validation),
        "learning_rate": report.learning_rate,
        "gradient_norm": report.gradient_norm,
        "segments_per_second": report.segments_per_second,
        "seconds_waiting_for_data": report.waiting_seconds,
        "seconds": report.seconds,
        "is_best": int(report.is_best),
    }


def write_history(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes all rows anew, in one step."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: f"{value:.6g}" if isinstance(value, float) else value
                for key, value in row.items()
            }
        )
    replace_text(path, text.getvalue())
