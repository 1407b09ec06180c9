"""The separation score is 0 without a difference, 1 for points, and its test and interval hold."""

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.separation import ALL, measure_separation, separation_score, standardize

MOODS = ("energetic", "peaceful", "emotional")


def songs(random, gap, num_artists=40, num_features=6):
    """Artists with a sound of their own and a favourite mood; mood 1 is moved by `gap`."""
    artists = np.repeat(np.arange(num_artists), random.integers(1, 5, size=num_artists))
    favourite = random.random(num_artists)
    labels = (random.random(len(artists)) < favourite[artists]).astype(int)
    features = random.normal(size=(len(artists), num_features))
    features += 0.7 * random.normal(size=(num_artists, num_features))[artists]
    features[:, 0] += gap * labels
    return features, labels, artists


def measure(features, labels, artists, seed=0, num_resamples=99):
    return measure_separation(
        features, labels, artists, MOODS,
        random=np.random.default_rng(seed), num_resamples=num_resamples,
    )  # fmt: skip


def test_the_score_is_one_for_points_and_on_average_zero_without_a_difference():
    labels = np.repeat([0, 1, 2], 20)
    assert separation_score(np.eye(3)[labels], labels) == pytest.approx(1)
    random = np.random.default_rng(0)
    scores = [separation_score(random.normal(size=(60, 5)), labels) for _ in range(400)]
    assert np.mean(scores) == pytest.approx(0, abs=0.002)
    assert np.min(scores) < 0


def test_a_case_worked_out_by_hand():
    # Values 0 2 | 4 6: SST = 9 + 1 + 1 + 9 = 20, SSW = 2 + 2 = 4; 1 - (4 / 2) / (20 / 3).
    score = separation_score(np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0, 0, 1, 1]))
    assert score == pytest.approx(0.7)


def test_the_score_does_not_depend_on_units_or_on_the_order_of_songs():
    features, labels, artists = songs(np.random.default_rng(1), 1.0)
    one = measure(features, labels, artists)[ALL].score.value
    order = np.random.default_rng(2).permutation(len(labels))
    other = measure(features[order] * 1000 + 5, labels[order], artists[order])[ALL].score.value
    assert one == pytest.approx(other, rel=1e-9)


def test_a_real_difference_is_found_and_named_by_its_feature():
    found = measure(*songs(np.random.default_rng(3), 2.0))["energetic - peaceful"]
    assert found.p_value <= 0.02 and found.score.low > 0
    assert np.argmax(found.by_feature) == 0


def test_moods_without_a_difference_pass_the_test_as_rarely_as_they_should():
    p_values = [
        measure(*songs(np.random.default_rng(seed), 0.0), num_resamples=39)[ALL].p_value
        for seed in range(60)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.12
    assert 0.35 < np.mean(p_values) < 0.65


def test_the_interval_holds_the_truth():
    features, labels, _ = songs(np.random.default_rng(0), 1.0, num_artists=6000)
    truth = separation_score(standardize(features), labels)
    inside = []
    for seed in range(1, 61):
        score = measure(*songs(np.random.default_rng(seed), 1.0), num_resamples=150)[ALL].score
        inside.append(score.low <= truth <= score.high)
    assert np.mean(inside) >= 0.9


def test_every_pair_of_moods_is_measured():
    features, labels, artists = songs(np.random.default_rng(5), 1.0)
    labels[::5] = 2
    assert set(measure(features, labels, artists)) == {
        ALL, "energetic - peaceful", "energetic - emotional", "peaceful - emotional",
    }  # fmt: skip


def test_one_mood_and_values_that_are_not_finite_are_refused():
    features, labels, artists = songs(np.random.default_rng(5), 1.0)
    with pytest.raises(DataError, match="two moods"):
        measure(features, labels * 0, artists)
    features[3, 2] = np.nan
    with pytest.raises(DataError, match="not finite"):
        measure(features, labels, artists)
