"""The README's example commands, run as they stand there, on made-up songs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from melodai.checkpoint import BEST, model_state, save_checkpoint
from melodai.config import Config
from melodai.models import build_model
from tests.songs import QUICK, make_library

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
README = README.replace("\\\n", " ")  # a command over several lines
MOODS = ("energetic", "peaceful", "emotional")
# Options that make a run short; nothing else is added to what the README says.
SHORT = {
    "melodai-train": [*QUICK, "--epochs", "1", "--num-folds", "3", "--out", "runs/trained"],
    "melodai-explain": ["--model", "runs/mine"],
    "melodai-predict": ["--model", "runs/mine"],
    "melodai-export": ["--no-onnx"],
    "scripts/train_segmented_model.py": ["--epochs", "1", "--image-size", "32"],
}
# Commands that come with the scripts and not with the package.
STUDIES = {"melodai-journey": "melodai_studies.journey.command"}
NEEDS_NETWORK = ("melodai-weights musicnn", "download_songs.py")


def commands(title: str) -> list[list[str]]:
    """Words of each command in the shell blocks of a section."""
    section = README.split(f"\n### {title}\n", 1)[1].split("\n#", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the README's names stand for."""
    folder = tmp_path_factory.mktemp("readme")
    make_library(folder / "my-music", songs_per_mood=3)
    song = folder / "my-music" / "peaceful" / "0.wav"
    (folder / "song.mp3").write_bytes(song.read_bytes())
    (folder / "list.m3u8").write_text("#EXTM3U\nmy-music/peaceful/1.wav\n", encoding="utf-8")
    config = Config().with_options(arch="advanced", segment_seconds=3.0, image_size=64)
    model = build_model("advanced", MOODS, frontend=config.frontend)
    (folder / "runs" / "mine").mkdir(parents=True)
    state = {**model_state(model, "advanced", config), "epoch": 1}
    save_checkpoint(folder / "runs" / "mine" / BEST, state)
    return folder


def run(words: list[str], place: Path) -> subprocess.CompletedProcess:
    name, *rest = words
    added = SHORT.get(name, [])
    if added[:1] and added[0] in rest:
        added = []
    if name == "python":
        root = Path(__file__).parent.parent
        added = SHORT.get(rest[0], [])
        command = [sys.executable, str(root / rest[0]), *rest[1:], *added]
    else:
        command = [sys.executable, "-m", "melodai.cli.main", name.removeprefix("melodai-")]
        command += [*rest, *added]
    environment = {**os.environ, "MELODAI_CACHE": str(place / "cache")}
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=200
    )


@pytest.mark.parametrize("title", ["The moods of your songs", "The study's steps"])
def test_the_commands_of_the_readme_run(title, place):
    found = commands(title)
    assert len(found) >= 5
    if title == "The study's steps":  # what the download would have brought
        make_library(place / "data", songs_per_mood=2)
    for words in found:
        if any(name in " ".join(words) for name in NEEDS_NETWORK):
            continue
        done = run(words, place)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"


def test_every_command_and_script_of_the_readme_exists_with_its_options():
    known: dict[str, str] = {}
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line, comments=True) for b in blocks for line in b.splitlines()]
    for words in filter(None, lines):
        name = words[0]
        if not name.startswith("melodai-") or name == "melodai-weights":
            continue
        if name not in known:
            command = [sys.executable, "-m", "melodai.cli.main", name.removeprefix("melodai-")]
            environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1"}
            if name in STUDIES:
                command = [sys.executable, "-m", STUDIES[name]]
                environment["PYTHONPATH"] = os.pathsep.join(sys.path)
            shown = subprocess.run(
                [*command, "--help"], capture_output=True, text=True, env=environment
            )
            assert shown.returncode == 0, name
            known[name] = shown.stdout
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", known[name]), f"{name} has no {option}"
