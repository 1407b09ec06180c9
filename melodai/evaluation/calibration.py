"""Temperature scaling, fitted on validation and never on what is reported.

One number softens or sharpens all probabilities so that a confidence of 0.8 is right in 80 % of
cases; it changes no answer. Source: Guo et al., On Calibration of Modern Neural Networks,
ICML 2017, section 4.2.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from melodai.errors import DataError
from melodai.evaluation.calibration_error import calibration_error
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.scores import choose_pooling
from melodai.metrics import SMALLEST, at_temperature

COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Choices made on validation, and the calibration error of its songs before and after."""

    pooling: str
    track_temperature: float
    segment_temperature: float
    error_before: float
    error_after: float
    num_tracks: int


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 0.05 to 20, at which probabilities (example, class) fit labels best."""
    logits = np.log(np.maximum(probabilities, SMALLEST))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        # In logits, not probabilities: a cold temperature must not run into the floor of the log.
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]).mean())

    # The loss is convex in 1 / T, so it has a single minimum in log T as well.
    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def calibrate(validation: Predictions, *, pooling: str | None = None) -> Calibration:
    """Chooses pooling (unless given) and temperatures on the songs of a validation part.

    Raises:
        DataError: the record is not of a validation part.
    """
    if validation.split != "validation":
        raise DataError(
            f"calibration may only see validation songs, these are of the {validation.split} part"
        )
    pooling = pooling or choose_pooling(validation)
    pooled = validation.pooled_by(pooling).probabilities
    temperature = fit_temperature(pooled, validation.labels)
    return Calibration(
        pooling=pooling,
        track_temperature=temperature,
        segment_temperature=fit_temperature(
            validation.segment_probabilities, validation.labels[validation.tracks]
        ),
        error_before=calibration_error(pooled, validation.labels, validation.clusters),
        error_after=calibration_error(
            at_temperature(pooled, temperature), validation.labels, validation.clusters
        ),
        num_tracks=validation.num_tracks,
    )


def apply_calibration(predictions: Predictions, calibration: Calibration) -> Predictions:
    """Predictions pooled and tempered as was chosen on validation."""
    return predictions.pooled_by(calibration.pooling).at_temperatures(
        calibration.track_temperature, calibration.segment_temperature
    )
