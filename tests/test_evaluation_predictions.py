"""Stored predictions: a round trip, joining folds, aligning runs, and refusals."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.predictions import (
    SEGMENT_ARRAYS,
    TRACK_ARRAYS,
    Predictions,
    align,
    join,
    make_predictions,
)

MOODS = ("energetic", "peaceful", "emotional")


def record(num_tracks=6, prefix="song", seed=0, **changes):
    random = np.random.default_rng(seed)
    tracks = np.repeat(np.arange(num_tracks), 3)
    order = random.permutation(len(tracks))
    values = {
        "data": "made up",
        "split": "test",
        "moods": MOODS,
        "names": [f"{prefix} {index}" for index in range(num_tracks)],
        "labels": np.arange(num_tracks) % 3,
        "logits": random.normal(size=(len(tracks), 3)),
        "tracks": tracks[order],
        "starts_seconds": np.tile([0.0, 10.0, 20.0], num_tracks)[order],
        "lengths_seconds": np.full(len(tracks), 10.0),
        "artists": ["Ann", "ann ", None, None, "Bob", "Zoë"][:num_tracks],
        "soft": [(0.5, 0.25, 0.25)] * (num_tracks - 1) + [None],
        "provenance": {"commit": "abc"},
    }
    return make_predictions(**(values | changes))


def test_a_record_comes_back_from_its_file(tmp_path):
    stored = record().at_temperatures(2.0, 0.5).pooled_by("median")
    stored.save(tmp_path / "predictions.npz")
    again = Predictions.load(tmp_path / "predictions.npz")
    for name in TRACK_ARRAYS + SEGMENT_ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(stored, name))
    for name in ("data", "split", "moods", "pooling", "provenance"):
        assert getattr(again, name) == getattr(stored, name)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.npz"]


def test_what_is_no_record_is_refused_in_words(tmp_path):
    with pytest.raises(DataError, match="melodai-evaluate"):
        Predictions.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="holds no predictions"):
        Predictions.load(tmp_path / "bad.npz")


def test_artists_are_one_cluster_whatever_the_case_and_unknown_ones_are_their_own():
    clusters = record().clusters
    assert clusters[0] == clusters[1]
    assert len(set(clusters.tolist())) == 5


def test_temperature_softens_without_changing_the_answer():
    plain, soft = record(), record().at_temperatures(3.0, 3.0)
    assert np.array_equal(plain.calibrated.argmax(axis=1), soft.calibrated.argmax(axis=1))
    assert (soft.calibrated.max(axis=1) < plain.calibrated.max(axis=1)).all()
    assert np.allclose(plain.calibrated, plain.probabilities)
    assert np.allclose(soft.calibrated_segments.sum(axis=1), 1)


def test_joined_folds_keep_each_song_with_its_segments_pooling_and_temperature():
    one = record(seed=1).at_temperatures(2.0, 1.0)
    two = record(seed=2, prefix="other").pooled_by("max")
    both = join([one, two])
    assert both.num_tracks == 12 and both.pooling == "mean+max"
    back = both.take(np.arange(6, 12))
    assert np.array_equal(back.logits, two.logits)
    assert np.array_equal(back.tracks, two.tracks)
    assert np.array_equal(both.calibrated[:6], one.calibrated)
    with pytest.raises(DataError, match="more than one"):
        join([one, record(seed=3)])


def test_aligned_runs_have_the_same_songs_in_the_same_order():
    one, other = record(seed=1), record(seed=2).take(np.array([4, 0, 2]))
    left, right = align(one, other)
    assert left.names.tolist() == right.names.tolist() == ["song 0", "song 2", "song 4"]
    assert np.array_equal(left.probabilities, one.probabilities[[0, 2, 4]])
    with pytest.raises(DataError, match="no song in common"):
        align(one, record(prefix="else"))
    with pytest.raises(DataError, match="labels"):
        align(one, replace(one, labels=(one.labels + 1) % 3))


def test_a_song_without_segments_and_an_infinite_logit_are_named():
    with pytest.raises(DataError, match="1 songs have no segment, the first is song 6"):
        record(names=[f"song {index}" for index in range(7)], labels=np.zeros(7), artists=None,
               soft=None)  # fmt: skip
    bad = np.zeros((18, 3))
    bad[4] = np.inf
    with pytest.raises(DataError, match="not a finite number"):
        record(logits=bad)


def test_the_table_for_people_has_a_row_a_song(tmp_path):
    predictions = record()
    predictions.write_csv(tmp_path / "predictions.csv")
    rows = list(csv.DictReader((tmp_path / "predictions.csv").open()))
    assert [row["name"] for row in rows] == predictions.names.tolist()
    for row, answer in zip(rows, predictions.calibrated, strict=True):
        assert row["predicted"] == MOODS[answer.argmax()]
        assert float(row["peaceful"]) == pytest.approx(answer[1], abs=1e-4)
