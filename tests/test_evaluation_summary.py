"""The evaluation of a run holds what was chosen on validation and every score, as plain JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from melodai.evaluation.predictions import Predictions, make_predictions
from melodai.evaluation.scores import score_segments, score_tracks
from melodai.evaluation.summary import evaluate, to_json, write_json

MOODS = ("energetic", "peaceful", "emotional")


def run(split, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(60) % 3
    tracks = np.repeat(np.arange(60), 4)
    return make_predictions(
        data="made up", split=split, moods=MOODS, names=[f"{split} {i}" for i in range(60)],
        labels=labels, logits=3 * (random.normal(size=(240, 3)) + np.eye(3)[labels[tracks]]),
        tracks=tracks, starts_seconds=np.tile(np.arange(4) * 10.0, 60),
        lengths_seconds=np.full(240, 10.0), artists=[f"{split} artist {i // 3}" for i in range(60)],
        provenance={"seed": "0"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def evaluated():
    return evaluate(
        run("test", 1), run("validation", 2), random=np.random.default_rng(0), num_resamples=40
    )


def test_scores_are_those_of_the_calibrated_predictions(evaluated):
    evaluation, predictions = evaluated
    tracks = score_tracks(predictions).flat(MOODS)
    assert {name: row.value for name, row in evaluation.tracks.items()} == pytest.approx(
        tracks, nan_ok=True
    )
    segments = score_segments(predictions).flat(MOODS)
    assert evaluation.segments["log-loss"].value == pytest.approx(segments["log-loss"])
    assert evaluation.coverage["100%"] == pytest.approx(tracks["accuracy"])
    assert np.sum(evaluation.confusion) == evaluation.num_tracks == 60
    assert evaluation.num_segments == 240 and evaluation.num_artists == 20


def test_pooling_and_temperature_come_from_validation(evaluated):
    evaluation, predictions = evaluated
    assert evaluation.pooling == evaluation.calibration.pooling == predictions.pooling
    assert predictions.temperatures[0] == evaluation.calibration.track_temperature != 1
    best = max(scores["macro F1"] for scores in evaluation.poolings.values())
    assert evaluation.poolings[evaluation.pooling]["macro F1"] == best


def test_without_validation_nothing_is_chosen():
    evaluation, predictions = evaluate(
        run("test", 1), random=np.random.default_rng(0), num_resamples=5
    )
    assert evaluation.calibration is None and evaluation.pooling == "mean"
    assert (predictions.temperatures == 1).all()


def test_the_evaluation_is_json_without_nan(evaluated, tmp_path):
    write_json(evaluated[0], tmp_path / "deep" / "evaluation.json")
    text = (tmp_path / "deep" / "evaluation.json").read_text()
    assert text == to_json(evaluated[0]) and "NaN" not in text
    stored = json.loads(text)
    assert stored["tracks"]["KL"]["value"] is None
    assert stored["tracks"]["accuracy"]["low"] < stored["tracks"]["accuracy"]["value"]


def test_each_of_several_data_sets_has_scores_of_its_own():
    together = replace(run("test", 1), sets=np.repeat(["one", "two"], [15, 45]))
    evaluation, _ = evaluate(together, random=np.random.default_rng(0), num_resamples=20)
    assert {name: own.num_tracks for name, own in evaluation.sets.items()} == {"one": 15, "two": 45}
    right = [
        round(own.num_tracks * own.tracks["accuracy"].value) for own in evaluation.sets.values()
    ]
    assert sum(right) == round(60 * evaluation.tracks["accuracy"].value)
    alone, _ = evaluate(run("test", 1), random=np.random.default_rng(0), num_resamples=20)
    assert alone.sets == {}


def test_a_record_without_data_sets_is_of_one(tmp_path):
    run("test", 1).save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as file:
        np.savez(tmp_path / "old.npz", **{name: file[name] for name in file if name != "sets"})
    assert Predictions.load(tmp_path / "old.npz").by_set() == {}
