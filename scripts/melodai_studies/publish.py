"""A run's small files as they are published: without weights and without paths of this machine."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from melodai.config import Config
from melodai.errors import DataError
from melodai.evaluation.predictions import FILE_NAME, Predictions
from melodai.files import replace_text

COPIED = (
    "history.csv", "split.csv", "run.json", "metrics.json", "evaluation.json", "predictions.csv",
)  # fmt: skip
PREDICTIONS = (FILE_NAME, f"validation_{FILE_NAME}")


def publish_run(run: Path, out: Path) -> list[Path]:
    """Copies what others need to check a run; `melodai-report` reads it as it reads a run.

    Raises:
        DataError: the run was not evaluated.
    """
    if not (run / FILE_NAME).is_file():
        raise DataError(f"{run} holds no predictions; melodai-evaluate {run} writes them")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name in COPIED:
        if (run / name).is_file():
            written.append(Path(shutil.copyfile(run / name, out / name)))
    for name in PREDICTIONS:
        if (run / name).is_file():
            predictions = Predictions.load(run / name)
            nowhere = np.full(predictions.num_tracks, "")
            dataclasses.replace(predictions, paths=nowhere).save(out / name)
            written.append(out / name)
    config = Config.from_json((run / "config.json").read_text(encoding="utf-8"))
    data = tuple(Path(data.name) for data in config.data.data)
    config = config.with_options(data=data, cache_dir=None, weights_dir=None, out=None)
    replace_text(out / "config.json", config.to_json())
    return [*written, out / "config.json"]
