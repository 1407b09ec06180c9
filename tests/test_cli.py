"""The real command, in processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
import typer
from typer.testing import CliRunner

from melodai.cli import train as train_module
from melodai.cli.main import COMMANDS
from melodai.config import Config
from melodai.presets import default
from tests.songs import QUICK, make_library, melodai, write_wav

ALL_FILES = {"best.pt", "last.pt", "history.csv", "config.json", "split.csv", "metrics.json"}


def settings_of(*arguments: str, monkeypatch) -> Config:
    """The settings that a command line comes to."""
    seen = []
    monkeypatch.setattr(
        train_module, "_report", lambda run, options, config=None: seen.append(config)
    )
    application = typer.Typer()
    application.command()(train_module.train)
    result = CliRunner().invoke(application, list(arguments))
    assert result.exit_code == 0, result.output
    return seen[0]


def test_without_options_the_command_line_is_the_default_preset(monkeypatch):
    config = settings_of("--data", "music", monkeypatch=monkeypatch)
    assert config == default().with_options(data=config.data.data)


def test_every_setting_can_be_given(monkeypatch):
    config = settings_of(
        "--data", "music", "--segment-seconds", "full", "--no-augment", "--soft-labels",
        "--label-smoothing", "0.2", "--taxonomy", "five", "--compile", monkeypatch=monkeypatch,
    )  # fmt: skip
    assert config.data.segment_seconds == "full" and config.data.soft_labels
    assert not config.augment.augment and config.run.compile
    assert (config.training.label_smoothing, config.data.moods) == (0.2, "five")


def test_options_are_laid_over_the_preset(monkeypatch):
    config = settings_of(
        "--data", "music", "--preset", "study", "--zoom", "0.3", monkeypatch=monkeypatch
    )
    assert config.augment.zoom == 0.3 and config.augment.pitch_semitones == 0.0


def test_help_shows_every_setting_and_answers_at_once():
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    seconds = []
    for _ in range(3):
        # Of the processor, not of the clock: the machine may be busy with something else.
        began = os.times()
        done = melodai("train", "--help", env=environment)
        ended = os.times()
        seconds.append(
            ended.children_user + ended.children_system
            - began.children_user - began.children_system
        )  # fmt: skip
    assert done.returncode == 0
    for section in (Config().data, Config().augment, Config().training):
        for name in vars(section):
            assert "--" + name.replace("_", "-") in done.stdout, name
    assert "[default: 0.001]" in done.stdout and "Examples" in done.stdout
    assert min(seconds) < 0.5, seconds


def test_melodai_alone_lists_all_commands():
    done = melodai()
    for name in COMMANDS:
        assert re.search(rf"│ {name} ", done.stdout), name
    assert melodai("--version").stdout.strip()


def test_the_networks_are_listed():
    done = melodai("train", "--list-archs")
    assert done.returncode == 0
    for arch in ("auto", "advanced", "residual"):
        assert re.search(rf"^{arch} ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--arch", "resnot", "--data", "."), "unknown architecture 'resnot'; choose one of auto"),
        (("--moods", "seven"), "choose one of auto, three, five"),
        (("--epochs", "0"), "it may be at least 1"),
        (("--preset", "big"), "choose one of default, demo, study, smoke"),
        (("--segment-seconds", "long"), "neither a number of seconds nor 'full'"),
        (("--device", "tpu9", "--data", "."), "choose auto or cpu"),
        (("--no-such-option",), "No such option"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed(arguments, words, tmp_path):
    done = melodai("train", *arguments, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("data", "words"),
    [("nowhere", "no such folder"), (".", "the only mood is nothing-here"), ("empty", "")],
    ids=["missing", "one mood", "empty"],
)
def test_data_that_cannot_be_used_is_named_without_a_traceback(data, words, tmp_path):
    (tmp_path / "nothing-here").mkdir()
    write_wav(tmp_path / "nothing-here" / "a.wav", [0.0] * 100)
    (tmp_path / "empty").mkdir()
    done = melodai("train", "--data", data, cwd=tmp_path)
    assert done.returncode == 3
    assert words in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_saves_says_how_to_go_on_and_that_works(tmp_path):
    library, out = make_library(tmp_path / "library"), tmp_path / "run"
    command = [sys.executable, "-m", "melodai.cli.main", "train", "--data", str(library), *QUICK]
    command += ["--cache-dir", str(tmp_path / "cache"), "--out", str(out), "--epochs", "400"]
    process = subprocess.Popen(
        [*command, "--early-stopping", "0", "--arch", "advanced"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "history.csv").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"melodai-train --resume {out}" in output and "Traceback" not in errors
    epochs = len((out / "history.csv").read_text().splitlines())
    done = melodai("train", "--resume", out, "--epochs", epochs + 1)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} >= ALL_FILES


def test_a_torchvision_that_does_not_fit_is_one_sentence_with_the_cure(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"}
    done = melodai("train", "--data", tmp_path, env=environment)
    assert done.returncode == 7
    assert len(done.stderr.strip().splitlines()) == 1
    assert "does not fit torch" in done.stderr and "pip install" in done.stderr


@pytest.mark.skipif(
    find_spec("immich_memories_music") is None, reason="the demo clips are not installed"
)
def test_a_first_look_at_the_demo_clips_tests_each_once_and_says_what_to_do_next(tmp_path):
    done = melodai(
        "train", "--arch", "residual", "--preset", "smoke", "--cache-dir", tmp_path / "cache",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.endswith("-residual")
    assert {path.name for path in (run / "fold-0").iterdir()} >= ALL_FILES
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["num_tracks"] == 28 and evaluation["data"] == "demo"
    for word in ("tensorboard --logdir", "not a result to quote", "melodai-predict my-music"):
        assert word in done.stdout
