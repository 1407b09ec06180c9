"""A comparison as it is stored, so that it can be scored again without any network."""

import json
from dataclasses import asdict
from pathlib import Path

from melodai.comparison.run import Compared, Entry, ModelComparison
from melodai.errors import DataError
from melodai.evaluation.predictions import Predictions
from melodai.files import replace_text

FILE_NAME = "comparison.json"
ABOUT = ("num_parameters", "seconds", "songs_per_second", "licence", "note", "config_hash")


def write_stored(comparison: ModelComparison, made_by: str, folder: Path) -> None:
    """Writes all about the entries that is not in their predictions."""
    about = {
        "made_by": made_by,
        "compared": [
            {**asdict(found.entry), **{name: getattr(found, name) for name in ABOUT}}
            for found in comparison.compared
        ],
        "unavailable": [
            {**asdict(entry), "reason": reason} for entry, reason in comparison.unavailable
        ],
    }
    replace_text(folder / FILE_NAME, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def read_stored(folder: Path) -> tuple[ModelComparison, str]:
    """A comparison from its results folder, and by which command it was made.

    Raises:
        DataError: the folder holds none, or not all of it.
    """
    try:
        about = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        compared = []
        for row in about["compared"]:
            entry = Entry(row["arch"], row["mode"], row["head"])
            predictions = Predictions.load(folder / "predictions" / f"{entry.folder}.npz")
            own = {name: row[name] for name in ABOUT}
            compared.append(Compared(entry=entry, predictions=predictions, **own))
        unavailable = [
            (Entry(row["arch"], row["mode"], row["head"]), row["reason"])
            for row in about["unavailable"]
        ]
        made_by = about["made_by"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no comparison that can be read: {error}") from error
    return ModelComparison(compared=tuple(compared), unavailable=tuple(unavailable)), made_by
