"""Intervals hold the truth as often as they claim; tests find differences and invent none."""

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.intervals import (
    bootstrap,
    compare_runs,
    quantiles,
    score_intervals,
)
from melodai.evaluation.predictions import make_predictions

MOODS = ("energetic", "peaceful", "emotional")


def songs_by_artists(random, num_artists=25):
    """Artist of each song, and whether its prediction is right: artists differ in difficulty."""
    artists = np.repeat(np.arange(num_artists), random.integers(1, 6, size=num_artists))
    ease = random.normal(0.6, 1.0, size=num_artists)
    return artists, random.random(len(artists)) < 1 / (1 + np.exp(-ease[artists]))


def test_intervals_cover_the_truth_in_95_percent_of_simulated_data_sets():
    random = np.random.default_rng(0)
    truth = (1 / (1 + np.exp(-random.normal(0.6, 1.0, size=10**6)))).mean()
    covered = []
    for _ in range(300):
        artists, right = songs_by_artists(random)
        # The same draw of artists as `bootstrap`, for all resamples in one product.
        sums, sizes = np.bincount(artists, right), np.bincount(artists)
        weights = random.multinomial(25, np.full(25, 1 / 25), size=500)
        low, high = quantiles(((weights @ sums) / (weights @ sizes))[:, None], 25)
        covered.append(low[0] <= truth <= high[0])
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_bootstrap_draws_whole_artists():
    artists, right = songs_by_artists(np.random.default_rng(1))

    def accuracy(rows):
        # Of each artist all songs or none, equally often.
        times = np.bincount(rows, minlength=len(artists))
        assert all(len(set(times[artists == artist])) == 1 for artist in range(25))
        return np.array([right[rows].mean()])

    found = bootstrap(accuracy, artists, random=np.random.default_rng(2), num_resamples=200)[0]
    assert found.value == right.mean()
    assert found.low < found.value < found.high


def test_many_songs_of_one_artist_do_not_narrow_the_interval():
    right = np.tile([True, True, False], 10)

    def width(copies):
        values = np.repeat(right, copies)
        found = bootstrap(
            lambda rows: np.array([values[rows].mean()]),
            np.repeat(np.arange(30), copies),
            random=np.random.default_rng(0),
            num_resamples=500,
        )[0]
        return found.high - found.low

    assert width(20) == pytest.approx(width(1), rel=1e-6)


def test_one_artist_gives_no_interval_rather_than_a_point():
    found = bootstrap(
        lambda rows: np.array([1.0]), np.zeros(9, int), random=np.random.default_rng(0)
    )
    assert found[0].value == 1 and np.isnan([found[0].low, found[0].high]).all()


def run(skill, *, seed, num_tracks=120, labels=None):
    random = np.random.default_rng(seed)
    labels = np.arange(num_tracks) % 3 if labels is None else labels
    return make_predictions(
        data="made up", split="test", moods=MOODS,
        names=[f"song {index}" for index in range(num_tracks)], labels=labels,
        logits=random.normal(size=(num_tracks, 3)) + skill * np.eye(3)[labels],
        tracks=np.arange(num_tracks), starts_seconds=np.zeros(num_tracks),
        lengths_seconds=np.full(num_tracks, 30.0),
        artists=[f"artist {index // 4}" for index in range(num_tracks)],
    )  # fmt: skip


def test_every_score_has_an_interval_around_it():
    found = score_intervals(run(1.5, seed=1), random=np.random.default_rng(0), num_resamples=200)
    for name in ("accuracy", "macro F1", "ROC-AUC peaceful", "log-loss"):
        assert found[name].low < found[name].value < found[name].high
    assert np.isnan(found["KL"].value) and np.isnan(found["KL"].low)


def test_the_same_seed_gives_the_same_interval():
    one, other = (
        score_intervals(run(1.5, seed=1), random=np.random.default_rng(7), num_resamples=50)
        for _ in range(2)
    )
    assert one["accuracy"] == other["accuracy"]


def test_a_better_run_is_found_better():
    found = compare_runs(
        run(3.0, seed=1), run(0.7, seed=2), random=np.random.default_rng(0), num_resamples=300
    )
    accuracy = found.differences["accuracy"]
    assert accuracy.difference.low > 0 and accuracy.p_value < 0.01
    assert accuracy.difference.value == pytest.approx(accuracy.one - accuracy.other)
    assert (found.num_tracks, found.num_artists) == (120, 30)


def test_equal_runs_are_called_different_in_about_5_percent_of_cases():
    p_values = [
        compare_runs(
            run(1.0, seed=2 * trial, num_tracks=60),
            run(1.0, seed=2 * trial + 1, num_tracks=60),
            random=np.random.default_rng(trial),
            num_resamples=60,
        ).differences["log-loss"].p_value
        for trial in range(40)
    ]  # fmt: skip
    assert np.mean(np.array(p_values) < 0.05) <= 0.15
    assert 0.3 < np.mean(p_values) < 0.7


def test_a_run_against_itself_differs_by_nothing():
    one = run(1.0, seed=4)
    found = compare_runs(one, one, random=np.random.default_rng(0), num_resamples=50)
    assert found.differences["accuracy"].p_value == 1
    assert found.differences["accuracy"].difference.low == 0


def test_runs_on_different_labels_are_not_compared():
    with pytest.raises(DataError, match="labels"):
        compare_runs(
            run(1.0, seed=1),
            run(1.0, seed=1, labels=np.zeros(120, int)),
            random=np.random.default_rng(0),
        )
