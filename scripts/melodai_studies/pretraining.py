"""Publishes a pretraining run: the weights with their card, its curves, what it heard."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from melodai.evaluation.figures import new_figure, save_figure
from melodai.files import replace_text
from melodai.models.initial import WEIGHTS, read_weights
from melodai.palette import colour_of
from melodai.templates import render
from melodai_studies.free_music import Piece, read_manifest

PLACES = ("out", "cache_dir", "weights_dir", "num_decoders", "offline", "device")
KEPT = "unexplained_kept/"


class Package(NamedTuple):
    """A row of the card."""

    package: str
    version: str
    pieces: int
    minutes: float
    licences: str


def publish_pretraining(run: Path, package: Path, results: Path, manifest: Path) -> None:
    """Writes `package/<arch>.safetensors` and its card, and the small files into `results`.

    Args:
        run: a finished run folder of `melodai-pretrain`.
        manifest: of `scripts/free_music.py`.
    """
    about, state = read_weights(run / WEIGHTS)
    settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
    settings = {name: value for name, value in settings.items() if name not in PLACES}
    music = json.loads((run / "music.json").read_text(encoding="utf-8"))
    rows = read_history(run / "history.csv")
    heard = [piece for piece in read_manifest(manifest) if piece.sha256 in music["unlabelled"]]
    package.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / WEIGHTS, package / f"{about['arch']}.safetensors")
    shutil.copyfile(run / "history.csv", results / "history.csv")
    replace_text(results / "config.json", json.dumps(settings, indent=2) + "\n")
    with (results / "music.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Piece.__dataclass_fields__)
        writer.writerows(vars(piece).values() for piece in heard)
    draw_curves(rows, results / "curves.png", about["arch"])
    last = rows[-1]
    windows = int(last["step"]) * settings["batch_size"]
    card = render(
        "pretrained.md", arch=about["arch"], teachers=settings["teacher"], pieces=len(heard),
        parameters=sum(value.numel() for value in state.values()), packages=by_package(heard),
        hours=sum(piece.seconds for piece in heard) / 3600, labelled=music["labelled"].items(),
        seconds=settings["window_seconds"], fold=settings["fold"], steps=int(last["step"]),
        batch=settings["batch_size"], windows=windows, seed=settings["seed"],
        heard_hours=windows * settings["window_seconds"] / 3600,
        unexplained=[
            (name, last[f"{KEPT}layers_{name}"], last.get(f"{KEPT}moods_{name}"))
            for name in names_of(last)
        ],
        probes=[
            (name, last[f"probe/accuracy_{name}"], last[f"probe/macro_f1_{name}"])
            for name in names_of(last) if f"probe/accuracy_{name}" in last
        ],
    )  # fmt: skip
    replace_text(package / "README.md", card)


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of `history.csv`, without what was not measured at a step."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def names_of(row: dict[str, float]) -> list[str]:
    """The sets of songs kept aside."""
    start = f"{KEPT}layers_"
    return [name.removeprefix(start) for name in row if name.startswith(start)]


def by_package(pieces: Sequence[Piece]) -> list[Package]:
    """A row a package, the longest first."""
    rows = []
    for package in {piece.package for piece in pieces}:
        own = [piece for piece in pieces if piece.package == package]
        licences = ", ".join(sorted({piece.licence for piece in own}))
        minutes = sum(piece.seconds for piece in own) / 60
        rows.append(Package(package, own[0].version, len(own), minutes, licences))
    return sorted(rows, key=lambda row: (-row.minutes, row.package))


def draw_curves(rows: Sequence[dict[str, float]], path: Path, arch: str) -> None:
    """What is left unexplained of the teachers, and probes of the student, over the steps."""
    about = f"{arch}, songs never heard, every {rows[0]['step']:.0f} steps"
    figure, axes = new_figure("Pretraining without labels", about, 10, 4, columns=3)
    panels: dict[str, Any] = {
        "layers left unexplained": f"{KEPT}layers_",
        "moods left unexplained": f"{KEPT}moods_",
        "probe, accuracy": "probe/accuracy_",
    }
    for axis, (title, start) in zip(axes[0], panels.items(), strict=True):
        for index, name in enumerate(names_of(rows[-1])):
            points = [(row["step"], row[start + name]) for row in rows if start + name in row]
            if points:
                steps, values = np.array(points).T
                axis.plot(steps, values, color=colour_of(index), marker=".", label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.set_ylim(0, 1)
    axes[0][0].legend(fontsize=8)
    save_figure(figure, path)
