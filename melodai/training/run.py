"""One training run: from settings to a run folder."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from melodai.checkpoint import BEST, LAST, load_checkpoint, load_model, replace_text
from melodai.config import Config
from melodai.data.corpus import Corpus, prepare
from melodai.data.splits import Split, make_split, read_split, write_split
from melodai.environment import check_torch_packages, find_device, versions
from melodai.errors import CheckpointError, DataError, SettingError
from melodai.labels import THREE
from melodai.models import MoodModel, build_model
from melodai.models.registry import (
    AUTO,
    PretrainedOptions,
    find_architecture,
    mode_of,
    resolve_arch,
)
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
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return TrainingResult(
        run=run, arch=metrics["arch"], epochs=metrics["epochs"],
        best_epoch=metrics["best_epoch"], metrics=metrics,
    )  # fmt: skip


# Looks a split over, and says what is wrong with it.
Inspection = Callable[[Corpus, Split], Iterable[str]]


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
    if (run / LAST).exists() or (run / "metrics.json").exists():
        raise SettingError(f"{run} holds a run already; go on with --resume {run}, or choose --out")
    return _train(config, run, monitor or Monitor(), resume=False, inspect=inspect)


def resume(run: Path, monitor: Monitor | None = None, **options: Any) -> TrainingResult:
    """Goes on with an interrupted run, exactly as if it had not been interrupted.

    Args:
        run: its folder.
        options: settings that do not change the result (device, cache_dir, num_decoders), or
            `epochs`, to train for longer.

    Raises:
        CheckpointError: there is nothing to go on with.
        SettingError: an option that would make it another run.
    """
    allowed = {"device", "cache_dir", "num_decoders", "epochs"}
    if wrong := options.keys() - allowed:
        names = ", ".join("--" + name.replace("_", "-") for name in sorted(wrong))
        raise SettingError(
            f"{names} cannot be changed with --resume; a run keeps its settings. Allowed: "
            + ", ".join("--" + name.replace("_", "-") for name in sorted(allowed))
        )
    config = Config.from_json(load_checkpoint(run / LAST)["config"]).with_options(**options)
    return _train(config, run, monitor or Monitor(), resume=True)


def default_run_folder(arch: str) -> Path:
    """`runs/<time>-<arch>`."""
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{arch.replace(':', '-')}"


def _train(
    config: Config,
    run: Path,
    monitor: Monitor,
    *,
    resume: bool,
    inspect: Inspection | None = None,
) -> TrainingResult:
    check_torch_packages()
    if config.model.arch != AUTO:
        find_architecture(config.model.arch)
    device = find_device(config.run.device)
    with process_group(device, config.training.batch_size) as ranks:
        config, switched_off = for_data(config)
        if switched_off and ranks.is_first:
            monitor.warning(switched_off)
        run = ranks.same(run)
        corpus = _prepare(config, monitor, ranks)
        split = _split(config, corpus, run, resume)
        if inspect is not None and ranks.is_first:
            for warning in inspect(corpus, split):
                monitor.warning(warning)
        arch = resolve_arch(config.model.arch, len(split.train), config.model.init)
        torch.manual_seed(config.training.seed)
        model = build_for(config, arch, corpus.moods)
        mode = mode_for(config, arch, model)
        if mode == "zero-shot":
            check_tags(arch, corpus.moods)
        run.mkdir(parents=True, exist_ok=True)
        if mode in ("probe", "zero-shot"):
            if not ranks.is_first:  # a head is fitted in one process
                ranks.wait()
                return read_result(run)
            _write_settings(config, run, corpus, split)
            monitor.message(_description(corpus, split, model, arch, device))
            scores = probe(model, corpus, split, config, run, arch, mode, device, monitor)
            monitor.finish()
            result = _write_metrics(run, arch, config, corpus, split, scores)
            ranks.wait()
            return result
        if not split.validation:
            raise SettingError(
                "no songs are left to choose the best epoch by; raise --validation-fraction"
            )
        ranks.wait()  # for the first process, which listened for copies
        trainer = Trainer(
            model=model, arch=arch, config=config, corpus=corpus, split=split,
            device=device, ranks=ranks, run=run, monitor=monitor,
        )  # fmt: skip
        if resume:
            trainer.load_last(load_checkpoint(run / LAST))
        logger = None
        if ranks.is_first:
            _write_settings(config, run, corpus, split)
            monitor.message(_description(corpus, split, model, arch, device))
            logger = RunLogger(run, corpus.moods, trainer.progress.epoch)
        try:
            trainer.fit(logger)
            return _finish(trainer, logger)
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


def _split(config: Config, corpus: Corpus, run: Path, resume: bool) -> Split:
    """The run's own split where there is one, else a new one."""
    path = run / "split.csv"
    if not resume:
        data = config.data
        return make_split(
            corpus.tracks, corpus.keys, fold=data.fold, num_folds=data.num_folds,
            validation_fraction=data.validation_fraction, seed=config.training.seed,
            all_songs=data.all_songs,
        )  # fmt: skip
    if not path.is_file():
        raise CheckpointError(f"there is no {path}, so it is not known which songs are for what")
    try:
        return read_split(path, corpus.tracks, corpus.keys)
    except DataError as error:
        raise DataError(f"the music is not what this run was started on: {error}") from error


def _write_settings(config: Config, run: Path, corpus: Corpus, split: Split) -> None:
    replace_text(run / "config.json", config.to_json())
    write_split(run / "split.csv", corpus.tracks, corpus.keys, split)


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


def _finish(trainer: Trainer, logger: RunLogger | None) -> TrainingResult:
    """Loads the best weights, shows what they get right and wrong, writes `metrics.json`."""
    best = trainer.progress.best
    run = trainer.run
    trainer.ranks.wait()  # best.pt is whole before any process reads it
    trainer.model.encoder.load_state_dict(load_checkpoint(run / BEST)["encoder"])
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
        run, trainer.arch, trainer.config, trainer.corpus, trainer.split, found,
        is_first=trainer.ranks.is_first,
    )  # fmt: skip


def _write_metrics(
    run: Path, arch: str, config: Config, corpus: Corpus, split: Split, found: dict[str, Any],
    *, is_first: bool = True,
) -> TrainingResult:  # fmt: skip
    """`metrics.json`: what was trained on what, and how it did."""
    metrics = {
        "arch": arch,
        "data": corpus.name,
        "moods": list(corpus.moods),
        "num_tracks": {part: len(getattr(split, part)) for part in ("train", "validation", "test")},
        **found,
        "config_hash": config.hash(),
        "seed": config.training.seed,
        "versions": versions(),
    }
    if is_first:
        replace_text(run / "metrics.json", json.dumps(_without_nan(metrics), indent=2) + "\n")
    return TrainingResult(
        run=run, arch=arch, epochs=found["epochs"], best_epoch=found["best_epoch"], metrics=metrics
    )


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null in its place."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
