"""Whole runs on made-up songs: learning, exactness, kills, several processes."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import melodai
from melodai.checkpoint import load_checkpoint
from melodai.errors import CheckpointError, NonFiniteLossError, SettingError
from melodai.evaluation.run import evaluate_run
from melodai.training import trainer as trainer_module
from tests.songs import QUICK, make_library
from tests.songs import melodai as command

QUICK_OPTIONS = dict(
    segments_per_epoch=0, segment_seconds=3.0, image_size=64, batch_size=4, num_decoders=1
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return make_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def train(library, cache):
    def run(out, **options):
        return melodai.train(
            data=library, cache_dir=cache, out=out, device="cpu", **{**QUICK_OPTIONS, **options}
        )

    return run


def weights(run: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return load_checkpoint(run / name)["encoder"]


def assert_same_weights(first: Path, second: Path) -> None:
    for name in ("last.pt", "best.pt"):
        one, other = weights(first, name), weights(second, name)
        assert one.keys() == other.keys()
        for key in one:
            assert torch.equal(one[key], other[key]), (name, key)


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_tiny_set_is_overfitted(train, tmp_path):
    result = train(
        tmp_path / "run", arch="residual", init="random", epochs=10, augment=False, dropout=0.0,
        label_smoothing=0.0, early_stopping=0, segments_per_track=2, learning_rate=3e-4,
    )  # fmt: skip
    last = history(result.run)[-1]
    assert float(last["train_accuracy"]) == 1.0
    assert float(last["train_loss"]) < 0.2


def test_the_run_folder_holds_what_was_promised(train, library, tmp_path):
    result = train(tmp_path / "run", arch="advanced", epochs=2)
    files = {path.name for path in result.run.iterdir()}
    assert {
        "best.pt",
        "last.pt",
        "history.csv",
        "config.json",
        "split.csv",
        "metrics.json",
    } <= files
    assert len(history(result.run)) == 2
    metrics = json.loads((result.run / "metrics.json").read_text())
    assert metrics["epochs"] == 2 and 0 <= metrics["validation"]["accuracy"] <= 1
    assert metrics["num_tracks"]["train"] + metrics["num_tracks"]["validation"] < 15
    model = result.load()
    logits = model(torch.randn(2, 3 * model.sample_rate))
    assert logits.shape == (2, 3) and model.moods == ("energetic", "peaceful", "emotional")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(train, tmp_path):
    runs = [
        train(tmp_path / str(i), arch="residual", init="random", epochs=1, seed=s).run
        for i, s in enumerate((1, 1, 2))
    ]
    assert_same_weights(runs[0], runs[1])
    key = next(iter(weights(runs[0])))
    assert not torch.equal(weights(runs[0])[key], weights(runs[2])[key])


def interrupted_after(steps: int, monkeypatch):
    """Sends this process a real SIGINT after so many steps of training."""
    done = {"steps": 0}
    original = trainer_module.Trainer.train_step

    def counted(self, batch):
        features = original(self, batch)
        done["steps"] += 1
        if done["steps"] == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return features

    monkeypatch.setattr(trainer_module.Trainer, "train_step", counted)


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9, "schedule": "cosine"}])
def test_ctrl_c_in_an_epoch_saves_and_resume_ends_bitwise_equal(
    train, tmp_path, monkeypatch, options
):
    whole = train(tmp_path / "whole", arch="residual", epochs=3, **options)
    with monkeypatch.context() as patch:
        interrupted_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", arch="residual", epochs=3, **options)
    progress = load_checkpoint(tmp_path / "cut" / "last.pt")["progress"]
    assert progress["step"] > 0, "it should have stopped within an epoch"
    melodai.resume(tmp_path / "cut")
    assert_same_weights(whole.run, tmp_path / "cut")
    scores = [
        [{k: v for k, v in row.items() if "second" not in k} for row in history(run)]
        for run in (whole.run, tmp_path / "cut")
    ]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_kills_at_random_moments_and_resumes_end_bitwise_equal(library, cache, tmp_path):
    arguments = ["train", "--data", library, "--cache-dir", cache, "--arch", "residual", *QUICK]
    arguments += ["--epochs", "5", "--device", "cpu", "--early-stopping", "0"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done = command(*arguments, "--out", whole)
    assert done.returncode == 0, done.stderr
    chance, kills = random.Random(1), 0
    first = [sys.executable, "-m", "melodai.cli.main", *map(str, arguments), "--out", str(cut)]
    again = [sys.executable, "-m", "melodai.cli.main", "train", "--resume", str(cut)]
    while kills < 3:
        process = subprocess.Popen(
            again if (cut / "last.pt").exists() else first,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        written = time_of(cut / "last.pt")
        while process.poll() is None and time_of(cut / "last.pt") == written:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.3)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills >= 2
    done = command("train", "--resume", cut)
    assert done.returncode == 0, done.stderr
    assert_same_weights(whole, cut)
    assert [row["epoch"] for row in history(cut)] == [row["epoch"] for row in history(whole)]


def time_of(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def torchrun(*arguments: object) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(20000 + os.getpid() % 20000)]
    return [*launcher, "-m", "melodai.cli.main", "train", *map(str, arguments)]


@pytest.mark.slow
def test_two_processes_train_the_same_songs_as_well_as_one(train, library, cache, tmp_path):
    options = dict(
        arch="residual", init="random", epochs=8, learning_rate=3e-4, batch_size=8,
        segments_per_track=2,
    )  # fmt: skip
    runs = [train(tmp_path / f"seed{seed}", **options, seed=seed).run for seed in (0, 1, 2)]
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    arguments = ["--data", library, "--cache-dir", cache, *QUICK, *flags, "--device", "cpu"]
    done = subprocess.run(
        torchrun(*arguments, "--out", tmp_path / "two"),
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Best epoch") == 1, "one process speaks"
    assert len(list((tmp_path / "two").glob("events.out.tfevents.*"))) == 1, "one set of logs"
    assert (runs[0] / "split.csv").read_text() == (tmp_path / "two" / "split.csv").read_text()
    last, both = [history(run)[-1] for run in runs], history(tmp_path / "two")[-1]
    for name in ("validation_accuracy", "validation_macro_f1", "train_loss"):
        scores = [float(row[name]) for row in last]
        spread = max(scores) - min(scores)
        assert min(scores) - spread <= float(both[name]) <= max(scores) + spread, (name, scores)


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_run_and_leaves_a_checkpoint(library, cache, tmp_path):
    out = tmp_path / "run"
    arguments = ["--data", library, "--cache-dir", cache, "--arch", "residual", *QUICK]
    process = subprocess.Popen(
        torchrun(*arguments, "--epochs", 500, "--early-stopping", 0, "--out", out),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "history.csv").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said, errors = process.communicate(timeout=90)
    assert process.returncode != 0
    # Either the first process found that the other is gone, or torchrun told it first.
    assert "another process of this run has died" in errors or "saved" in said
    assert f"-m melodai.cli.main train --resume {out}" in said + errors
    assert load_checkpoint(out / "last.pt")["progress"]["epoch"] >= 2


def test_a_loss_that_is_not_a_number_stops_the_run_before_the_step(train, tmp_path, monkeypatch):
    original = trainer_module.Trainer.examples

    def poisoned(self, batch):
        features, targets = original(self, batch)
        if self.progress.epoch == 2:
            before.update({k: v.clone() for k, v in self.model.encoder.named_parameters()})
            trainers.append(self)
            features = features * float("nan")
        return features, targets

    before, trainers = {}, []
    monkeypatch.setattr(trainer_module.Trainer, "examples", poisoned)
    with pytest.raises(NonFiniteLossError, match=r"epoch 2, step 1; .*\.wav"):
        train(tmp_path / "run", arch="residual", epochs=3)
    for name, weight in trainers[0].model.encoder.named_parameters():
        assert torch.equal(weight, before[name]), name
    assert load_checkpoint(tmp_path / "run" / "last.pt")["progress"]["epoch"] == 2


def test_resume_refuses_what_would_make_it_another_run(train, tmp_path):
    run = train(tmp_path / "run", arch="residual", epochs=1).run
    with pytest.raises(SettingError, match="--learning-rate cannot be changed"):
        melodai.resume(run, learning_rate=0.1)
    with pytest.raises(SettingError, match="holds a run already"):
        train(run, arch="residual", epochs=1)
    with pytest.raises(CheckpointError):
        melodai.resume(tmp_path / "nowhere")


def test_a_run_without_validation_songs_is_refused_before_it_begins(train, tmp_path):
    with pytest.raises(SettingError, match="--validation-fraction"):
        train(tmp_path / "run", arch="residual", validation_fraction=0.0)


def test_a_finished_run_can_be_made_longer(train, tmp_path):
    run = train(tmp_path / "run", arch="residual", epochs=1, schedule="plateau").run
    melodai.resume(run, epochs=2)
    whole = train(tmp_path / "whole", arch="residual", epochs=2, schedule="plateau").run
    assert_same_weights(run, whole)


def test_scores_and_temperature_are_of_the_precision_that_answers_are_given_in(
    train, library, cache, tmp_path
):
    run = train(tmp_path / "run", arch="residual", epochs=1, precision="bfloat16").run
    evaluation, predictions = evaluate_run(run, cache_dir=cache)
    assert evaluation.provenance["precision"] == "float32"
    paths = [library / name for name in predictions.names]
    said = {song.file: song.probabilities for song in melodai.load(run).predict_many(paths)}
    for path, row in zip(paths, predictions.calibrated, strict=True):
        assert said[path] == pytest.approx(row, abs=1e-5)


def test_early_stopping_stops(train, tmp_path):
    result = train(
        tmp_path / "run", arch="residual", epochs=60, early_stopping=2, learning_rate=1e-7
    )
    assert result.epochs < 60
    assert result.best_epoch == result.metrics["best_epoch"] <= result.epochs
