"""Trains and scores every row of the journey, going on where it was stopped."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melodai.checkpoint import BEST, load_checkpoint
from melodai.config import Config
from melodai.data.corpus import Corpus, prepare
from melodai.data.segments import samples_of
from melodai.environment import find_device, versions
from melodai.evaluation.predictions import Predictions, join, make_predictions
from melodai.journey.protocols import (
    COPIES,
    SEGMENTS,
    honest_split,
    leaky_songs,
    shuffled_labels,
)
from melodai.journey.steps import STEPS, config_of
from melodai.journey.table import Row, write_journey
from melodai.models import build_model
from melodai.training.distributed import Ranks
from melodai.training.interrupt import Wish
from melodai.training.monitor import Monitor
from melodai.training.trainer import Trainer

PROTOCOLS = ("artist-disjoint", "leaky")


@dataclass(frozen=True, kw_only=True)
class JourneySettings:
    """What is common to all rows.

    Attributes:
        data, cache_dir: the songs, with folds by artist.
        folds: test parts of the honest rows, joined.
        options: settings laid over every step, say epochs, image_size, precision.
        seed: of splits, copies, shuffled labels and training.
    """

    data: Path
    cache_dir: Path | None = None
    folds: tuple[int, ...] = (0,)
    options: dict[str, Any]
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """One thing to train: a step under a protocol, with true or shuffled labels."""

    step: int
    protocol: str
    is_shuffled: bool = False

    @property
    def slug(self) -> str:
        """Name of its file."""
        return f"{self.step}-{self.protocol}{'-shuffled' if self.is_shuffled else ''}"


def plans() -> list[Plan]:
    """Every row; the last of the study's steps also with shuffled labels."""
    last = max(index for index, step in enumerate(STEPS) if not step.is_ours)
    return [
        Plan(step, protocol, is_shuffled)
        for step in range(len(STEPS))
        for is_shuffled in ((False, True) if step == last else (False,))
        for protocol in PROTOCOLS
    ]


def run_journey(
    settings: JourneySettings,
    out: Path,
    parts: Path,
    *,
    protocols: tuple[str, ...] = PROTOCOLS,
    monitor: Monitor | None = None,
) -> list[Row]:
    """Trains what is not trained yet and writes journey.csv, journey.md and journey.png.

    Args:
        out: folder of the table and the figure.
        parts: folder of the finished rows' predictions; a row that is there is not trained again.
        protocols: train only these; the table has all rows that are there.
    """
    monitor = monitor or Monitor()
    parts.mkdir(parents=True, exist_ok=True)
    for plan in plans():
        path = parts / f"{plan.slug}.npz"
        if plan.protocol in protocols and not path.is_file():
            monitor.message(f"{STEPS[plan.step].name}, {plan.slug}")
            join(list(_predict(plan, settings, monitor))).save(path)
    rows = [
        _row(plan, Predictions.load(parts / f"{plan.slug}.npz"), settings)
        for plan in plans()
        if (parts / f"{plan.slug}.npz").is_file()
    ]
    write_journey(rows, out, settings.options, settings.folds, settings.seed)
    return rows


def _row(plan: Plan, predictions: Predictions, settings: JourneySettings) -> Row:
    rng = np.random.default_rng(settings.seed)
    return Row.of(STEPS[plan.step].name, plan.protocol, plan.is_shuffled, predictions, random=rng)


def _predict(plan: Plan, settings: JourneySettings, monitor: Monitor) -> Iterator[Predictions]:
    """Predictions of the scored part, one record a fold."""
    config = config_of(plan.step, {**settings.options, "seed": settings.seed})
    config = config.with_options(data=settings.data, cache_dir=settings.cache_dir)
    corpus = prepare(config.data, config.frontend.sample_rate)
    if plan.is_shuffled:
        corpus = shuffled_labels(corpus, settings.seed)
    if plan.protocol == "leaky":
        segment = samples_of(config.data.segment_seconds, corpus.sample_rate)
        corpus, split = leaky_songs(corpus, segment, settings.seed)
        trainer = _train(config, corpus, split, monitor)
        # What chose the best epoch is what is reported, as in the study.
        yield _record(trainer, corpus, split.validation, "leaky")
        return
    # As many steps an epoch as the leaky protocol has, whose songs come in several copies.
    is_whole = config.data.segment_seconds == "full"
    config = config.with_options(segments_per_track=1 if is_whole else SEGMENTS * COPIES)
    for fold in settings.folds:
        split = honest_split(corpus, fold, config.data.validation_fraction, settings.seed)
        trainer = _train(config, corpus, split, monitor)
        yield _record(trainer, corpus, split.test, "test")


def _train(config: Config, corpus: Corpus, split: Any, monitor: Monitor) -> Trainer:
    """A trainer that has run and holds the weights of its best epoch."""
    torch.manual_seed(config.training.seed)
    model = build_model(config.model.arch, corpus.moods, frontend=config.frontend)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model, arch=config.model.arch, config=config, corpus=corpus, split=split,
            device=find_device(config.run.device), ranks=Ranks(), run=Path(folder),
            monitor=monitor, wish=Wish(),
        )  # fmt: skip
        try:
            trainer.fit(None)
        finally:
            monitor.finish()
        trainer.model.encoder.load_state_dict(load_checkpoint(Path(folder) / BEST)["encoder"])
    trainer.average = None
    return trainer


def _record(trainer: Trainer, corpus: Corpus, scored: tuple[int, ...], part: str) -> Predictions:
    outputs = trainer.song_outputs(trainer.model, scored)
    chosen = [corpus.tracks[index] for index in scored]
    return make_predictions(
        data=corpus.name,
        split=part,
        moods=corpus.moods,
        names=[track.name for track in chosen],
        artists=[track.artist for track in chosen],
        labels=np.array([corpus.classes[index] for index in scored]),
        logits=outputs.logits.double().numpy(),
        tracks=outputs.places,
        starts_seconds=outputs.starts / corpus.sample_rate,
        lengths_seconds=outputs.lengths / corpus.sample_rate,
        provenance={
            "best_epoch": str(trainer.progress.best.epoch),
            "epochs": str(len(trainer.progress.history)),
            "commit": versions()["commit"],
        },
    )
