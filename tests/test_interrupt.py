"""Ctrl-C and SIGTERM, sent to real commands in every phase: obeyed soon, with how to go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from melodai.checkpoint import load_checkpoint
from melodai.interrupt import Interrupted, graceful_interrupt, prompt_interrupt
from tests.songs import QUICK, make_library

LONG = ["--epochs", "500", "--early-stopping", "0", "--arch", "residual", "--num-folds", "3"]


def test_a_signal_is_obeyed_at_once_or_noted_and_the_second_at_once():
    with pytest.raises(Interrupted, match="SIGTERM"), prompt_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    with graceful_interrupt() as wish:
        wish.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            wish.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with songs, of which some are long to decode."""
    folder = tmp_path_factory.mktemp("interrupt")
    make_library(folder / "songs")
    make_library(folder / "long", songs_per_mood=12, seconds=20.0)
    return folder


def stopped(words: list[object], number: int, is_time: Callable[[], bool]) -> tuple[int, str]:
    """Sends a command a signal when it is time; its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, words)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "300"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not is_time():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, said


def files(folder: Path, pattern: str) -> Callable[[], bool]:
    return lambda: any(folder.rglob(pattern))


@pytest.mark.parametrize(
    ("arch", "pattern"),
    [("residual", "v*-22050/*/*.npy"), ("log-mel-statistics", "embed*/*/*.npy")],
)
def test_while_songs_are_decoded_or_embedded(place, tmp_path, arch, pattern):
    words = ["melodai.cli.main", "train", "--data", place / "long", "--arch", arch, *QUICK]
    words += ["--cache-dir", tmp_path, "--out", tmp_path / "run"]
    code, said = stopped(words, signal.SIGTERM, files(tmp_path, pattern))
    assert code == 143, said
    assert "the same command starts again" in said and "Traceback" not in said


@pytest.mark.parametrize("command", [["train", "--cv"], ["compare", "--archs", "residual"]])
def test_while_folds_are_trained(place, tmp_path, command):
    options = [word for word in LONG if command[0] == "train" or word not in ("--arch", "residual")]
    words = ["melodai.cli.main", *command, "--data", place / "songs", *QUICK, *options]
    words += ["--cache-dir", place / "cache", "--out", tmp_path / "runs"]
    code, said = stopped(words, signal.SIGINT, files(tmp_path, "fold-0/history.csv"))
    assert code == 130, said
    assert "The same command goes on with it" in said and "Traceback" not in said


@pytest.mark.slow
def test_under_torchrun_all_stop_at_the_same_step(place, tmp_path):
    words = ["torch.distributed.run", "--nproc-per-node", 2, "--master-port"]
    words += [20000 + os.getpid() % 20000, "-m", "melodai.cli.main", "train"]
    words += ["--data", place / "songs", *QUICK, *LONG, "--cache-dir", place / "cache"]
    words += ["--out", tmp_path / "run"]
    _, said = stopped(words, signal.SIGTERM, files(tmp_path, "history.csv"))
    assert f"train --resume {tmp_path / 'run'}" in said, said
    assert "has died" not in said
    assert load_checkpoint(tmp_path / "run" / "last.pt")["progress"]["epoch"] >= 2
