"""The commands around a trained run: evaluate, ceiling, audit, sound, report."""

import csv
import json

import pytest

from tests.songs import QUICK, make_library, melodai


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A library, its cache and a run of two folds' cross-validation."""
    folder = tmp_path_factory.mktemp("study")
    make_library(folder / "library")
    done = melodai(
        "train", "--data", folder / "library", "--cache-dir", folder / "cache", "--arch",
        "residual", "--epochs", 1, *QUICK, "--num-folds", 2, "--cv", "--out", folder / "cv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "macro F1" in done.stdout
    return folder


def test_cross_validation_scores_every_song_once(folder):
    with (folder / "cv" / "predictions.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert len(names) == len(set(names)) == 15
    evaluation = json.loads((folder / "cv" / "evaluation.json").read_text())
    assert evaluation["num_tracks"] == 15 and evaluation["split"] == "test"


def test_a_cross_validation_that_is_done_is_not_trained_again(folder):
    before = {p: p.stat().st_mtime_ns for p in (folder / "cv").glob("fold-*/*.pt")}
    done = melodai(
        "train", "--data", folder / "library", "--cache-dir", folder / "cache", "--arch",
        "residual", "--epochs", 1, *QUICK, "--num-folds", 2, "--cv", "--out", folder / "cv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "cv").glob("fold-*/*.pt")}
    other = melodai("train", "--data", folder / "library", "--cv", "--out", folder / "cv")
    assert other.returncode == 2 and "other settings" in other.stderr


def test_a_run_is_evaluated_on_its_test_songs_against_another_and_drawn(folder):
    run = folder / "cv" / "fold-0"
    done = melodai(
        "evaluate", run, "--json", folder / "scores.json", "--figures", folder / "figures",
        "--against", run,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores = json.loads((folder / "scores.json").read_text())
    with (run / "split.csv").open(newline="") as file:
        test = [row["name"] for row in csv.DictReader(file) if row["part"] == "test"]
    assert scores["num_tracks"] == len(test)
    assert scores["calibration"]["num_tracks"] > 0
    assert {"confusion.png"} <= {path.name for path in (folder / "figures").iterdir()}
    assert "p = 1.000" in done.stdout, "a run does not differ from itself"


def test_other_songs_can_be_evaluated_and_leave_the_run_alone(folder, tmp_path):
    make_library(tmp_path / "other", songs_per_mood=2, seconds=5)
    run = folder / "cv" / "fold-1"
    before = (run / "evaluation.json").read_bytes()
    done = melodai(
        "evaluate", run, "--data", tmp_path / "other", "--json", tmp_path / "scores.json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "scores.json").read_text())["num_tracks"] == 6
    assert (run / "evaluation.json").read_bytes() == before


def test_the_report_and_the_other_commands_run(folder):
    runs = [folder / "cv" / "fold-0", folder / "cv" / "fold-1"]
    done = melodai("report", *runs, "--out", folder / "report.html")
    assert done.returncode == 0, done.stderr
    assert "<html" in (folder / "report.html").read_text() and (folder / "report.md").exists()
    done = melodai("ceiling", folder / "library")
    assert done.returncode == 0 and "commonest mood" in done.stdout, done.stderr
    done = melodai("audit", folder / "library", "--cache-dir", folder / "cache")
    assert done.returncode == 0 and "15 songs" in done.stdout, done.stderr


def test_a_folder_that_is_no_run_is_named():
    done = melodai("evaluate", "nowhere")
    assert done.returncode == 4 and "nowhere" in done.stderr
