"""A model and half of the listeners against the other half, on votes whose agreement is known."""

import numpy as np
import pytest

from melodai.comparison.selection import score_of_chosen
from melodai.errors import DataError
from melodai.evaluation.against_half import Halves, against_half
from melodai.evaluation.predictions import make_predictions
from melodai.labels import THREE
from tests.test_evaluation_ceiling import majority, votes

NUM_SONGS, MOODS = 2000, tuple(THREE)


def saying(said, labels):
    """A model that is sure of a mood for each song, three songs an artist."""
    number = len(said)
    return make_predictions(
        data="made up", split="test", moods=MOODS,
        names=[str(song) for song in range(number)], labels=labels,
        logits=4 * np.eye(len(MOODS))[said], tracks=np.arange(number),
        starts_seconds=np.zeros(number), lengths_seconds=np.ones(number),
        artists=[f"artist {song // 3}" for song in range(number)],
    )  # fmt: skip


def test_the_model_and_the_other_half_answer_the_same_question():
    calm = np.full(NUM_SONGS, MOODS.index("peaceful"))
    random = np.random.default_rng(0)
    halves = Halves.of(votes(NUM_SONGS, 10), MOODS, random, 20)
    found = against_half(saying(calm, calm), halves, random=random, num_resamples=200)
    # Against the labels of all ten it would be right for more songs than against those of five.
    half = majority(5)
    assert found.model.value == pytest.approx(half, abs=0.03)
    assert found.listeners.value == pytest.approx(half**2 + (1 - half) ** 2, abs=0.03)
    assert found.difference.value == pytest.approx(found.model.value - found.listeners.value)
    assert found.difference.low < found.difference.value < found.difference.high
    assert found.num_tracks == NUM_SONGS


def test_songs_of_single_listeners_are_no_halves():
    random = np.random.default_rng(0)
    halves = Halves.of(votes(5, 1), MOODS, random, 3)
    with pytest.raises(DataError, match="two listeners"):
        against_half(saying(np.zeros(5, int), np.zeros(5, int)), halves, random=random)


def test_the_best_of_many_equal_models_is_expected_to_be_as_good_as_any():
    best, expected = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        labels = random.integers(3, size=300)
        wrong = (labels + random.integers(1, 3, size=(20, 300))) % 3
        answers = np.where(random.random((20, 300)) < 0.6, labels, wrong)
        models = [saying(answer, labels) for answer in answers]
        found = score_of_chosen(models, random=random, num_resamples=60)
        best.append((answers == labels).mean(axis=1).max())
        expected.append(found.accuracy)
    assert np.mean(best) > 0.64
    assert np.mean(expected) == pytest.approx(0.6, abs=0.02)
