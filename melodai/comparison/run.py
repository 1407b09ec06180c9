"""Runs, or takes up, everything that is to be compared."""

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from melodai.checkpoint import load_model
from melodai.config import Config, ModelConfig
from melodai.cross_validation import cross_validate, folds_of, warn_of_leaks
from melodai.data.segments import samples_of
from melodai.data.waveforms import CachedWaveforms
from melodai.environment import find_device, versions
from melodai.errors import CheckpointError, MelodaiError, SettingError
from melodai.evaluation.predictions import FILE_NAME, Predictions
from melodai.evaluation.run import EVALUATION
from melodai.files import replace_text
from melodai.inference import EVALUATED_IN, infer_songs
from melodai.labels import THREE
from melodai.models.registry import AUTO, UNTRAINED, architectures, find_architecture, mode_of
from melodai.presets import PRETRAINED, RANDOM, default, laid_over, shipped_weights
from melodai.run import SETTINGS, Run, claim
from melodai.training.monitor import Monitor
from melodai.training.run import build_for

MODE_MARK = "@"
HEADS: tuple[str, ...] = ModelConfig.__dataclass_fields__["head"].metadata["choices"]
# Members of the families that are compared if nobody says which.
FAMILY_MEMBERS = {"timm:": ("timm:tf_efficientnet_lite0",), "torchvision:": ()}
SPEED_SONGS, SPEED_REPEATS = 4, 3


@dataclass(frozen=True)
class Entry:
    """What is compared: an architecture and how it is trained.

    Attributes:
        mode: resolved: "finetune", "probe" or "zero-shot"; of melodai's own networks the weights
            that they begin with, "pretrained" or "random".
        head: of a probe; None for that of `--head`.
    """

    arch: str
    mode: str
    head: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Entry":
        """`arch`, `arch@mode` or `arch@probe:head`; `arch@random` and `arch@pretrained`.

        Raises:
            SettingError: no such architecture, or a mode that is not for it.
        """
        arch, _, mode = text.strip().partition(MODE_MARK)
        mode, _, head = mode.partition(":")
        if arch == AUTO:
            raise SettingError("--archs: name the networks; auto is one of advanced and residual")
        if head and (mode != "probe" or head not in HEADS):
            raise SettingError(f"{text.strip()}: @probe:head takes one of {', '.join(HEADS)}")
        if find_architecture(arch).kind == UNTRAINED:
            mode = mode or (RANDOM if shipped_weights(arch) is None else PRETRAINED)
            if mode not in (RANDOM, PRETRAINED):
                raise SettingError(f"{text.strip()}: {arch}@{RANDOM} or {arch}@{PRETRAINED}")
            return cls(arch, mode)
        return cls(arch, mode_of(mode or AUTO, arch), head or None)

    def settings(self, config: Config, out: Path) -> Config:
        """Those of all, with what this entry has of its own: the recipe of own networks, say."""
        own = {"arch": self.arch, "out": out / self.folder}
        if self.mode in (RANDOM, PRETRAINED):
            return laid_over(default(self.arch, self.mode), config).with_options(**own)
        return config.with_options(**own, mode=self.mode, head=self.head or config.model.head)

    @property
    def name(self) -> str:
        """For tables."""
        how = self.mode if self.head is None else f"{self.mode} ({self.head})"
        return f"{self.arch}, {how}"

    @property
    def folder(self) -> str:
        """A name that every file system takes."""
        head = "" if self.head is None else f"-{self.head}"
        return f"{self.arch.replace(':', '-')}-{self.mode}{head}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """An entry and how it did.

    Attributes:
        predictions: of every song, each by the model that did not learn from its artist.
        seconds: of training, all folds; embedding counts where it was not cached.
        songs_per_second: decoded songs answered for, whole, on this machine.
        note: what must be said with the scores.
    """

    entry: Entry
    predictions: Predictions
    num_parameters: int
    seconds: float
    songs_per_second: float
    licence: str
    note: str
    config_hash: str


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """All of it; `unavailable` are entries with the reason why they could not be run."""

    compared: tuple[Compared, ...]
    unavailable: tuple[tuple[Entry, str], ...]


def default_entries() -> list[Entry]:
    """Every architecture in its own way, and those that name moods also untrained."""
    found = []
    for architecture in architectures():
        names = FAMILY_MEMBERS.get(architecture.name, (architecture.name,))
        if shipped_weights(architecture.name):
            found.append(Entry(architecture.name, RANDOM))
        found += [Entry.parse(name) for name in names]
        if architecture.tag_moods is not None:
            found.append(Entry(architecture.name, "zero-shot"))
    return found


def compare_models(
    config: Config,
    entries: Sequence[Entry],
    out: Path,
    monitor: Monitor | None = None,
    *,
    adopt: bool = False,
) -> ModelComparison:
    """Cross-validates every entry on the same folds; what is finished in `out` is taken as it is.

    Args:
        config: settings of all; arch and mode are the entries' own.
        adopt: also if folders of an earlier version do not say which songs they were begun with.

    Raises:
        MelodaiError: what training and evaluation raise; an entry whose weights or packages cannot
            be had is listed as unavailable instead.
    """
    monitor = monitor or Monitor()
    with claim(out):
        compared, unavailable = _run(config, entries, out, monitor, adopt)
        # All speeds in one go, so that they can be held against each other.
        return ModelComparison(
            compared=tuple(_read(entry, own, monitor) for entry, own in compared),
            unavailable=tuple(unavailable),
        )


def _run(
    config: Config, entries: Sequence[Entry], out: Path, monitor: Monitor, adopt: bool
) -> tuple[list[tuple[Entry, Config]], list[tuple[Entry, str]]]:
    folds = folds_of(config.with_options(arch=AUTO, mode=AUTO))
    warn_of_leaks(folds, config, monitor)
    compared, unavailable = [], []
    for number, entry in enumerate(entries, start=1):
        own = entry.settings(config, out)
        if _holds_results_of(own, folds.songs, adopt):
            monitor.message(f"[{number}/{len(entries)}] {entry.name}: taken from {own.run.out}")
        else:
            try:
                build_for(own, entry.arch, THREE)  # its weights are there, with any moods
            except MelodaiError as error:
                monitor.warning(f"{entry.name} is left out: {error}")
                unavailable.append((entry, str(error)))
                continue
            monitor.message(f"[{number}/{len(entries)}] {entry.name}")
            cross_validate(own, monitor, adopt=adopt, listen=False)
        compared.append((entry, own))
    return compared, unavailable


def _holds_results_of(config: Config, songs: str, adopt: bool) -> bool:
    """Whether the folder holds all folds of these very settings and songs.

    Raises:
        SettingError: it holds those of others.
    """
    folder = config.run.out
    if not (folder / SETTINGS).is_file():
        return False
    Run.start(folder, config.from_anywhere(), songs, adopt=adopt)
    return (folder / FILE_NAME).is_file() and (folder / EVALUATION).is_file()


def _read(entry: Entry, config: Config, monitor: Monitor) -> Compared:
    folder = config.run.out
    folds = [json.loads(path.read_text(encoding="utf-8")) for path in _metrics_of(folder)]
    speed = folder / "speed.json"
    if not speed.is_file():
        monitor.message(f"{entry.name}: how fast it answers")
        replace_text(speed, json.dumps(measure_speed(config, folder), indent=2) + "\n")
    measured = json.loads(speed.read_text(encoding="utf-8"))
    return Compared(
        entry=entry,
        predictions=Predictions.load(folder / FILE_NAME),
        num_parameters=folds[0]["num_parameters"],
        seconds=sum(fold["seconds"] for fold in folds),
        songs_per_second=measured["songs_per_second"],
        licence=find_architecture(entry.arch).licence,
        note=folds[0].get("note", ""),
        config_hash=config.hash(),
    )


def _metrics_of(folder: Path) -> list[Path]:
    found = sorted(folder.glob("fold-*/metrics.json"))
    if not found:
        raise CheckpointError(f"{folder} has lost the metrics.json of its folds; remove it")
    return found


def measure_speed(config: Config, folder: Path) -> dict[str, object]:
    """Songs a second through a trained model, from decoded samples; the best of some repeats."""
    folds = folds_of(config)
    model, corpus = load_model(folder / f"fold-{folds.numbers[0]}"), folds.corpus
    device = find_device(config.run.device)
    waveforms, seconds = CachedWaveforms(corpus.entries[:SPEED_SONGS]), []
    for _ in range(SPEED_REPEATS):
        began = time.perf_counter()
        infer_songs(
            model.to(device), waveforms, range(len(waveforms.num_samples)),
            segment_samples=samples_of(config.data.segment_seconds, model.sample_rate),
            batch_size=config.training.batch_size, device=device,
        )  # fmt: skip
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    count = len(waveforms.num_samples)
    length = float(np.mean(waveforms.num_samples)) / model.sample_rate
    return {
        "songs_per_second": count / min(seconds),
        "song_seconds": round(length, 2),
        "num_songs": count,
        "device": str(device),
        "num_threads": torch.get_num_threads(),
        "precision": EVALUATED_IN,
        "versions": versions(),
    }


def is_own(entry: Entry) -> bool:
    """Whether it is one of melodai's own networks, trained from nothing."""
    return find_architecture(entry.arch).kind == UNTRAINED


def settings_of(config: Config) -> Config:
    """What the entries have in common, without the places of this machine."""
    data = tuple(Path(data.name) for data in config.data.data)
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, data=data, cache_dir=None),
        run=dataclasses.replace(config.run, out=None, weights_dir=None),
    )
