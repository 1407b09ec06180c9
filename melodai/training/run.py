"""One training run: from settings to a run folder."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from melodai.checkpoint import BEST, LAST, load_checkpoint, load_model
from melodai.config import Config
from melodai.data.corpus import Corpus, prepare
from melodai.data.splits import Split, make_split
from melodai.environment import check_torch_packages, find_device, versions
from melodai.errors import SettingError
from melodai.labels import THREE, moods_text
from melodai.models import MoodModel, build_model
from melodai.models.registry import (
    AUTO,
    PretrainedOptions,
    find_architecture,
    mode_of,
    resolve_arch,
)
from melodai.run import METRICS, Run, check_free, claim, fingerprint, part_sides
from melodai.training.distributed import Ranks, process_group
from melodai.training.logger import RunLogger
from melodai.training.monitor import Monitor
from melodai.training.picture_data import for_data
from melodai.training.probe_run import check_tags, probe
from melodai.training.summary import summarise
from melodai.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        run: its folder.
        arch: the network, `auto` resolved.
        epochs: how many were trained.
        best_epoch: the one whose weights are in `best.pt`, from 1.
        metrics: validation scores of the best epoch, as in `metrics.json`.
    """

    run: Path
    arch: str
    epochs: int
    best_epoch: int
    metrics: dict[str, Any]

    def load(self) -> MoodModel:
        """The model of the best epoch, ready to evaluate."""
        return load_model(self.run)


def read_result(run: Path) -> TrainingResult:
    """What a finished run came to."""
    metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
    return TrainingResult(
        run=run, arch=metrics["arch"], epochs=metrics["epochs"],
        best_epoch=metrics["best_epoch"], metrics=metrics,
    )  # fmt: skip


# Looks over the parts of a split, and says what is wrong with them (`evaluation.leaks`).
Inspection = Callable[
    [Corpus, Mapping[int, str], Path | None, Callable[[int, int], None]], Iterable[str]
]


def train(
    config: Config, monitor: Monitor | None = None, inspect: Inspection | None = None
) -> TrainingResult:
    """Starts a run.

    Args:
        inspect: is shown the songs and their split; its sentences become warnings.

    Raises:
        MelodaiError: settings, data or files that cannot be used, named with the remedy.
        Interrupted: stopped by Ctrl-C or SIGTERM, after saving.
    """
    run = config.run.out or default_run_folder(config.model.arch)
    return _train(config.from_anywhere(), run, monitor or Monitor(), inspect=inspect)


def resume(
    run: Path, monitor: Monitor | None = None, *, adopt: bool = False, **options: Any
) -> TrainingResult:
    """Goes on with an interrupted run, exactly as if it had not been interrupted.

    Args:
        run: its folder.
        adopt: also if a folder of an earlier version does not say which songs it was begun with.
        options: settings that do not change the result (device, cache_dir, num_decoders; data,
            where its songs are now), or `epochs`, to train for longer.

    Raises:
        CheckpointError: there is nothing to go on with.
        SettingError: an option that would make it another run.
        DataError: the songs are not those of the run.
    """
    allowed = {"data", "device", "cache_dir", "num_decoders", "epochs"}
    if wrong := options.keys() - allowed:
        names = ", ".join("--" + name.replace("_", "-") for name in sorted(wrong))
        raise SettingError(
            f"{names} cannot be changed with --resume; a run keeps its settings. Allowed: "
            + ", ".join("--" + name.replace("_", "-") for name in sorted(allowed))
        )
    moods = moods_text(load_checkpoint(run / LAST)["moods"])  # in the order that they have there
    begun = Run.open(run)
    begun = replace(begun, config=begun.config.with_options(**options).from_anywhere())
    return _train(begun.config, run, monitor or Monitor(), begun=begun, moods=moods, adopt=adopt)


def default_run_folder(arch: str) -> Path:
    """`runs/<time>-<arch>`."""
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{arch.replace(':', '-')}"


def _train(
    config: Config,
    folder: Path,
    monitor: Monitor,
    *,
    begun: Run | None = None,
    moods: str | None = None,
    adopt: bool = False,
    inspect: Inspection | None = None,
) -> TrainingResult:
    check_torch_packages()
    if config.model.arch != AUTO:
        find_architecture(config.model.arch)
    device = find_device(config.run.device)
    with process_group(device, config.training.batch_size) as ranks:
        folder = ranks.same(folder)
        with claim(folder, ranks.is_first):
            if begun is None and ranks.is_first:
                check_free(folder)
            return _fit(
                config, folder, monitor, device, ranks, begun=begun, moods=moods, adopt=adopt,
                inspect=inspect,
            )  # fmt: skip


def _fit(
    config: Config,
    folder: Path,
    monitor: Monitor,
    device: torch.device,
    ranks: Ranks,
    *,
    begun: Run | None,
    moods: str | None,
    adopt: bool,
    inspect: Inspection | None,
) -> TrainingResult:
    config, switched_off = for_data(config)
    if switched_off and ranks.is_first:
        monitor.warning(switched_off)
    wanted = config if moods is None else config.with_options(moods=moods)
    corpus = _prepare(wanted, monitor, ranks)
    if begun is None:
        split = _split(config, corpus)
    else:
        corpus, split = begun.own(corpus)
    run = Run(folder=folder, config=config, songs=fingerprint(corpus, part_sides(corpus, split)))
    if begun is not None:
        begun.check(run.songs, adopt=adopt)
    if inspect is not None and ranks.is_first:
        listening = partial(monitor.working, "listening for copies")
        for warning in inspect(corpus, split.part_of(), config.data.cache_dir, listening):
            monitor.warning(warning)
    arch = resolve_arch(config.model.arch, len(split.train), config.model.init)
    torch.manual_seed(config.training.seed)
    model = build_for(config, arch, corpus.moods)
    mode = mode_for(config, arch, model)
    if mode == "zero-shot":
        check_tags(arch, corpus.moods)
    if mode in ("probe", "zero-shot"):
        if not ranks.is_first:  # a head is fitted in one process
            ranks.wait()
            return read_result(folder)
        run.write(corpus, split)
        monitor.message(_description(corpus, split, model, arch, device))
        scores = probe(model, corpus, split, config, folder, arch, mode, device, monitor)
        monitor.finish()
        result = _write_metrics(run, arch, corpus, split, scores)
        ranks.wait()
        return result
    if not split.validation:
        raise SettingError(
            "no songs are left to choose the best epoch by; raise --validation-fraction"
        )
    ranks.wait()  # for the first process, which listened for copies
    trainer = Trainer(
        model=model, arch=arch, config=config, corpus=corpus, split=split,
        device=device, ranks=ranks, run=folder, monitor=monitor,
    )  # fmt: skip
    if begun is not None:
        trainer.load_last(load_checkpoint(folder / LAST))
    logger = None
    if ranks.is_first:
        run.write(corpus, split)
        monitor.message(_description(corpus, split, model, arch, device))
        logger = RunLogger(folder, corpus.moods, trainer.progress.epoch)
    try:
        trainer.fit(logger)
        return _finish(run, trainer, logger)
    finally:
        monitor.finish()
        if logger is not None:
            logger.close()


def sample_rate_of(config: Config) -> int:
    """What the network wants to hear, in Hz; `auto` stands for networks with our front end.

    Of a network that looks at pictures, the pixels in a row.
    """
    config, _ = for_data(config)
    if config.model.arch == AUTO:
        return config.frontend.sample_rate
    return build_for(config, config.model.arch, THREE).sample_rate  # with any moods


def build_for(config: Config, arch: str, moods: Sequence[str]) -> MoodModel:
    """The network of these settings, with its published weights if it has any."""
    options = PretrainedOptions(
        layers=config.model.layers_read,
        weights_dir=config.run.weights_dir,
        offline=config.run.offline,
    )
    return build_model(
        arch,
        moods,
        frontend=config.frontend,
        dropout=config.model.dropout,
        pooling=config.model.pooling,
        init=config.model.init,
        pretrained=options,
    )


def mode_for(config: Config, arch: str, model: MoodModel) -> str:
    """How this model is trained."""
    is_pretrained = getattr(model.encoder, "is_pretrained", False)
    return mode_of(config.model.mode, arch, is_pretrained=is_pretrained)


def _prepare(config: Config, monitor: Monitor, ranks: Ranks) -> Corpus:
    """Decodes, on the first process; the others then find everything in the cache."""
    sample_rate = sample_rate_of(config)
    if not ranks.is_first:
        ranks.wait()
    corpus = prepare(
        config.data, sample_rate, lambda done, total, path: monitor.decoding(done, total)
    )
    if ranks.is_first:
        ranks.wait()
        for warning in corpus.warnings:
            monitor.warning(warning)
    return corpus


def _split(config: Config, corpus: Corpus) -> Split:
    data = config.data
    return make_split(
        corpus.tracks, corpus.keys, fold=data.fold, num_folds=data.num_folds,
        validation_fraction=data.validation_fraction, seed=config.training.seed,
        all_songs=data.all_songs,
    )  # fmt: skip


def _description(
    corpus: Corpus, split: Split, model: MoodModel, arch: str, device: torch.device
) -> str:
    parts = f"{len(split.train)} to train, {len(split.validation)} to validate"
    what = "pictures" if corpus.holds_pictures else "songs"
    return (
        f"{corpus.name}: {len(corpus.tracks)} {what} ({parts}, {len(split.test)} set aside), "
        f"moods {', '.join(corpus.moods)}. {arch}, {model.num_parameters() / 1e6:.2f} M "
        f"parameters, on {device}"
    )


def _finish(run: Run, trainer: Trainer, logger: RunLogger | None) -> TrainingResult:
    """Loads the best weights, shows what they get right and wrong, writes `metrics.json`."""
    best = trainer.progress.best
    trainer.ranks.wait()  # best.pt is whole before any process reads it
    trainer.model.encoder.load_state_dict(load_checkpoint(run.folder / BEST)["encoder"])
    trainer.average = None
    scores, by_set = summarise(trainer, logger)
    found = {
        "num_parameters": trainer.model.num_parameters(),
        "epochs": len(trainer.progress.history),
        "best_epoch": best.epoch,
        "seconds": round(trainer.progress.seconds, 1),
        "validation": dataclasses.asdict(scores),
        "validation_by_set": {name: dataclasses.asdict(own) for name, own in by_set.items()},
    }
    if logger is not None:
        sections = dataclasses.asdict(trainer.config)
        settings = {
            name: value
            for section, values in sections.items()
            for name, value in values.items()
            if section != "run" and name not in {"data", "cache_dir", "num_decoders", "strict"}
        }
        final = {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1, "loss": scores.loss}
        logger.hyperparameters(
            {"data": trainer.corpus.name, **settings, "arch": trainer.arch}, final
        )
    return _write_metrics(
        run, trainer.arch, trainer.corpus, trainer.split, found,
        is_first=trainer.ranks.is_first,
    )  # fmt: skip


def _write_metrics(
    run: Run, arch: str, corpus: Corpus, split: Split, found: dict[str, Any],
    *, is_first: bool = True,
) -> TrainingResult:  # fmt: skip
    """`metrics.json`: what was trained on what, and how it did."""
    metrics = {
        "arch": arch,
        "data": corpus.name,
        "moods": list(corpus.moods),
        "num_tracks": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
        **found,
        "config_hash": run.config.hash(),
        "songs": run.songs,
        "seed": run.config.training.seed,
        "versions": versions(),
    }
    if is_first:
        run.complete(_without_nan(metrics))
    return TrainingResult(
        run=run.folder,
        arch=arch,
        epochs=found["epochs"],
        best_epoch=found["best_epoch"],
        metrics=metrics,
    )


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null in its place."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
