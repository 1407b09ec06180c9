"""Temperature scaling finds the truth, changes no answer and sees validation songs only."""

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.calibration import apply_calibration, calibrate, fit_temperature
from melodai.evaluation.predictions import make_predictions
from melodai.evaluation.scores import score_tracks
from melodai.metrics import softmax

MOODS = ("energetic", "peaceful", "emotional")


def overconfident(split, *, seed, num_tracks=1500, factor=4.0):
    """Labels drawn from softmax(z), logits told as factor * z: the temperature is the factor."""
    random = np.random.default_rng(seed)
    honest = random.normal(size=(num_tracks, 3))
    labels = (random.random((num_tracks, 1)) > softmax(honest).cumsum(axis=1)).sum(axis=1)
    return make_predictions(
        data="made up", split=split, moods=MOODS,
        names=[f"{split} {index}" for index in range(num_tracks)], labels=labels.clip(0, 2),
        logits=factor * honest, tracks=np.arange(num_tracks),
        starts_seconds=np.zeros(num_tracks), lengths_seconds=np.full(num_tracks, 30.0),
    )  # fmt: skip


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_the_temperature_is_found_that_the_answers_were_made_with(factor):
    known = overconfident("validation", seed=0, factor=factor)
    assert fit_temperature(known.probabilities, known.labels) == pytest.approx(factor, rel=0.1)


def test_what_is_fitted_on_validation_mends_the_test_part():
    choices = calibrate(overconfident("validation", seed=0))
    test = overconfident("test", seed=1)
    mended = apply_calibration(test, choices)
    before, after = score_tracks(test), score_tracks(mended)
    assert before.calibration_error > 0.2 and after.calibration_error < 0.05
    assert after.log_loss < before.log_loss
    assert after.hard.confusion == before.hard.confusion
    assert choices.error_after < choices.error_before


def test_the_test_part_is_refused():
    with pytest.raises(DataError, match="only see validation"):
        calibrate(overconfident("test", seed=0))


def test_answers_that_are_all_right_keep_a_finite_temperature():
    labels = np.arange(30) % 3
    temperature = fit_temperature(softmax(3 * np.eye(3)[labels]), labels)
    assert 0.05 <= temperature < 0.1


def test_the_pooling_that_is_given_is_kept():
    assert calibrate(overconfident("validation", seed=0), pooling="median").pooling == "median"
