"""Everything that is reported of a set of predictions, in one record."""

import json
import math
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melodai.evaluation.calibration import Calibration, apply_calibration, calibrate
from melodai.evaluation.calibration_error import calibration_error
from melodai.evaluation.intervals import NUM_RESAMPLES, Interval, score_intervals
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.scores import (
    compare_poolings,
    confusion,
    risk_coverage,
)

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """Scores of the songs of one data set among several, as in `Evaluation`."""

    num_tracks: int
    num_artists: int
    tracks: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of a run on some songs.

    tracks, segments: every score with its 95 % interval, by name. calibration_error_before:
    of the songs before temperature scaling. coverage: accuracy that is left if only this share of
    the songs, the surest, is answered. poolings: scores of the songs under each pooling, on
    validation where it was given (pooling is chosen there), on these songs otherwise. sets: scores
    of each data set's songs, where there are several; all other scores are of all songs alike.
    """

    data: str
    split: str
    moods: tuple[str, ...]
    num_tracks: int
    num_segments: int
    num_artists: int
    pooling: str
    calibration: Calibration | None
    tracks: dict[str, Interval]
    segments: dict[str, Interval]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error_before: float
    coverage: dict[str, float]
    poolings: dict[str, dict[str, float]]
    sets: dict[str, SetScores]
    provenance: dict[str, str]


def evaluate(
    predictions: Predictions,
    validation: Predictions | None = None,
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> tuple[Evaluation, Predictions]:
    """Evaluates predictions, with pooling and temperature chosen on validation where it is given.

    Returns:
        the evaluation, and the predictions as they were evaluated (pooled and calibrated).
    """
    calibration = None
    if validation is not None:
        calibration = calibrate(validation)
        predictions = apply_calibration(predictions, calibration)
    compared = compare_poolings(predictions if validation is None else validation)
    coverage, risk = risk_coverage(predictions.calibrated, predictions.labels)
    kept = np.ceil(np.array(COVERAGES) * len(coverage)).astype(int) - 1
    evaluation = Evaluation(
        data=predictions.data,
        split=predictions.split,
        moods=predictions.moods,
        num_tracks=predictions.num_tracks,
        num_segments=len(predictions.tracks),
        num_artists=len(np.unique(predictions.clusters)),
        pooling=predictions.pooling,
        calibration=calibration,
        tracks=score_intervals(predictions, random=random, num_resamples=num_resamples),
        segments=score_intervals(
            predictions, random=random, num_resamples=num_resamples, segments=True
        ),
        confusion=tuple(
            tuple(row) for row in confusion(predictions.calibrated, predictions.labels).tolist()
        ),
        calibration_error_before=calibration_error(
            predictions.probabilities, predictions.labels, predictions.clusters
        ),
        coverage={
            f"{share:.0%}": float(1 - risk[row]) for share, row in zip(COVERAGES, kept, strict=True)
        },
        poolings={
            name: {
                "accuracy": scores.hard.accuracy,
                "macro F1": scores.hard.macro_f1,
                "log-loss": scores.log_loss,
            }
            for name, scores in compared.items()
        },
        sets={
            name: SetScores(
                num_tracks=own.num_tracks,
                num_artists=len(np.unique(own.clusters)),
                tracks=score_intervals(own, random=random, num_resamples=num_resamples),
            )
            for name, own in predictions.by_set().items()
        },
        provenance=predictions.provenance,
    )
    return evaluation, predictions


def to_json(record: Any) -> str:
    """A record (dataclass) as indented JSON; numbers that are undefined become null."""
    return json.dumps(_plain(record), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(record: Any, path: Path) -> None:
    """Writes `to_json` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(to_json(record), encoding="utf-8")
    unfinished.replace(path)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
