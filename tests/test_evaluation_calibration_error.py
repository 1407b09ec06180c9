"""The calibration error is unbiased and its interval holds the truth, for few songs and artists."""

import numpy as np
import pytest

from melodai.evaluation.calibration_error import (
    calibration_error,
    reliability,
    squared_calibration_error,
)
from melodai.evaluation.intervals import calibration_interval
from melodai.metrics import at_temperature, softmax

# Two songs said with 0.95, one of them right; two with 0.65, both right.
SAID = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.35, 0.65]])
LABELS = np.array([0, 1, 1, 1])


def test_a_reliability_diagram_worked_out_by_hand():
    means, shares, number = reliability(SAID, LABELS)
    assert number.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert means[[6, 9]] == pytest.approx([0.65, 0.95])
    assert shares[[6, 9]] == pytest.approx([1.0, 0.5])


def test_a_calibration_error_worked_out_by_hand():
    # One pair in each bin: (1 - 0.95) (0 - 0.95) and (1 - 0.65)².
    expected = (0.05 * -0.95 + 0.35**2) / 2
    assert squared_calibration_error(SAID, LABELS) == pytest.approx(expected)
    assert calibration_error(SAID, LABELS) == pytest.approx(expected**0.5)
    # If both of the sure songs are by one artist, they are no pair, nor if both are drawn twice.
    artists = np.array([0, 0, 1, 2])
    twice = np.arange(4).repeat(2)
    expected = 0.35**2 / 2
    assert squared_calibration_error(SAID, LABELS, artists) == pytest.approx(expected)
    again = squared_calibration_error(SAID[twice], LABELS[twice], artists[twice])
    assert again == pytest.approx(expected)


def songs(random, num_artists, temperature):
    """Answers of a model, sharpened by a temperature; songs of an artist share some of the luck."""
    artists = np.repeat(np.arange(num_artists), random.integers(1, 6, size=num_artists))
    honest = softmax(1.2 * random.normal(size=(len(artists), 3)))
    luck = random.random(len(artists))
    shared = random.random(len(artists)) < 0.3
    luck = np.where(shared, random.random(num_artists)[artists], luck)
    labels = (luck[:, None] > honest.cumsum(axis=1)).sum(axis=1).clip(max=2)
    return at_temperature(honest, temperature), labels, artists


@pytest.mark.parametrize("num_artists", [20, 100])  # 60 and 300 songs
@pytest.mark.parametrize("temperature", [1.0, 0.4, 2.0])
def test_it_is_unbiased_and_its_interval_covers(num_artists, temperature):
    random = np.random.default_rng(0)
    truth = squared_calibration_error(*songs(random, 200_000, temperature))
    truth = 0.0 if temperature == 1 else truth
    estimates, covered = [], []
    for _ in range(300):
        answers = songs(random, num_artists, temperature)
        estimates.append(squared_calibration_error(*answers))
        found = calibration_interval(*answers, random=random, num_resamples=300)
        covered.append(found.low <= truth**0.5 <= found.high)
    error = np.std(estimates) / 300**0.5
    assert abs(np.mean(estimates) - truth) < 3 * error
    assert 0.92 <= np.mean(covered) <= 0.995


def test_songs_of_one_artist_give_no_interval():
    found = calibration_interval(SAID, LABELS, np.zeros(4, int), random=np.random.default_rng(0))
    assert found.value == 0 and np.isnan([found.low, found.high]).all()
