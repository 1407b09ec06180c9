"""Checkpoints survive kills and full disks, and never run what is in them."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from melodai.checkpoint import load_checkpoint, load_model, save_checkpoint
from melodai.errors import CheckpointError, MelodaiError
from melodai.files import UNFINISHED, replace_text


def test_what_was_saved_is_loaded(tmp_path):
    state = {"weights": {"a": torch.arange(4.0)}, "epoch": 3, "rows": [{"x": 1.5}], "none": None}
    save_checkpoint(tmp_path / "last.pt", state)
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert torch.equal(loaded["weights"]["a"], torch.arange(4.0))
    assert (loaded["epoch"], loaded["rows"], loaded["none"]) == (3, [{"x": 1.5}], None)


WRITER = """
import pathlib, sys, torch
from melodai.checkpoint import save_checkpoint
print("ready", flush=True)
for number in range(10**6):
    save_checkpoint(pathlib.Path(sys.argv[1]), {"numbers": torch.full((300_000,), number)})
"""


def test_a_kill_while_writing_leaves_a_whole_file(tmp_path):
    path, chance = tmp_path / "last.pt", random.Random(0)
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline().strip() == "ready"
            time.sleep(0.02 + chance.random() * 0.1)
            writer.send_signal(signal.SIGKILL)
        if path.exists():
            numbers = load_checkpoint(path)["numbers"]
            assert (numbers == numbers[0]).all()
    assert path.exists()


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/melodai-was-here",)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint", pickle.dumps({"format": 1}), pickle.dumps(Evil())],
    ids=["empty", "text", "a plain pickle", "a pickle with code"],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path, mark = tmp_path / "best.pt", tmp_path / "ran"
    evil = type("Evil", (), {"__reduce__": lambda self: (os.mkdir, (str(mark),))})
    globals()["Planted"] = evil
    evil.__module__, evil.__qualname__ = __name__, "Planted"
    torch.save({"format": 1, "evil": evil()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not mark.exists()


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(path, {"weights": torch.randn(10_000)})
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no .*best\.pt"):
        load_model(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to play a full disk")
def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    replace_text(path, "old")
    real = Path.open

    def on_a_full_disk(file, mode="r", **options):
        full = file.suffix == UNFINISHED
        return real(Path("/dev/full") if full else file, "wb" if full else mode, **options)

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    with pytest.raises(MelodaiError, match="No space left") as failed:
        replace_text(path, "new")
    assert failed.value.exit_code == 1  # the checkpoint is not at fault
    with pytest.raises(MelodaiError, match=r"No space left|disk is full"):
        save_checkpoint(path, {"weights": torch.zeros(100_000)})
    assert path.read_text() == "old"
