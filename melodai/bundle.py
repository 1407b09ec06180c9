"""A model with all that is needed to answer for a song: windows, pooling, calibration."""

import json
from dataclasses import dataclass
from pathlib import Path

from melodai.checkpoint import BEST, load_checkpoint, load_model
from melodai.config import Config, Seconds
from melodai.models import MoodModel
from melodai.references import FILE_NAME, References


@dataclass(frozen=True, kw_only=True)
class ModelBundle:
    """What answers for a song.

    Attributes:
        segment_seconds: length of a window, or "full".
        pooling: of the windows' probabilities into the song's, see `metrics.pool_by_track`.
        temperature: of the song's probabilities (`evaluation.calibration`), 1 if not calibrated.
        segment_temperature: likewise of one window's.
        is_calibrated: whether these were fitted on songs set aside for it.
        references: the songs it learned from; None where they were not kept.
        about: what is known of where it comes from: arch, data, commit, seed, …
        source: the path or name it was asked for.
    """

    model: MoodModel
    segment_seconds: Seconds
    pooling: str
    temperature: float
    segment_temperature: float
    is_calibrated: bool
    references: References | None
    about: dict[str, str]
    source: str


def load_bundle(where: Path | str) -> ModelBundle:
    """The best model of a run folder, with the calibration that `melodai-evaluate` wrote there.

    Raises:
        CheckpointError: there is no model at that place, or it is damaged.
    """
    run = Path(where)
    state = load_checkpoint(run / BEST if run.is_dir() else run)
    config = Config.from_json(state["config"])
    folder = run if run.is_dir() else run.parent
    calibration = _calibration(folder / "evaluation.json")
    references = folder / FILE_NAME
    return ModelBundle(
        model=load_model(run),
        segment_seconds=config.data.segment_seconds,
        pooling=calibration.get("pooling", "mean"),
        temperature=calibration.get("track_temperature", 1.0),
        segment_temperature=calibration.get("segment_temperature", 1.0),
        is_calibrated=bool(calibration),
        references=References.load(references) if references.is_file() else None,
        about={"arch": state["arch"], "seed": str(config.training.seed)},
        source=str(where),
    )


def _calibration(path: Path) -> dict:
    if not path.is_file():
        return {}
    return json.loads(path.read_text(encoding="utf-8")).get("calibration") or {}
