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
from melodai.data.splits import Split
from melodai.environment import find_device, versions
from melodai.evaluation.predictions import Predictions, join, make_predictions
from melodai.inference import SongOutputs
from melodai.models import build_model
from melodai.run import Run, claim, fingerprint
from melodai.training.distributed import Ranks
from melodai.training.monitor import Monitor
from melodai.training.trainer import Trainer
from melodai_studies.journey.lookup import nearest_outputs
from melodai_studies.journey.protocols import (
    COPIES,
    SEGMENTS,
    honest_split,
    leaky_songs,
    shuffled_labels,
)
from melodai_studies.journey.steps import STEPS, config_of
from melodai_studies.journey.table import About, Row, write_journey

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

    def config(self, settings: JourneySettings) -> Config:
        """Settings of its training; it takes all its epochs."""
        common = {"early_stopping": 0, **settings.options, "seed": settings.seed}
        config = config_of(self.step, common)
        config = config.with_options(data=settings.data, cache_dir=settings.cache_dir)
        if self.protocol == "leaky" or config.data.segment_seconds == "full":
            return config
        # As many steps an epoch as the leaky protocol has, whose songs come in several copies.
        return config.with_options(segments_per_track=SEGMENTS * COPIES)


def plans() -> list[Plan]:
    """Every row; the last of the study's steps and the look-up also with shuffled labels."""
    last = max(index for index, step in enumerate(STEPS) if not step.is_ours)
    return [
        Plan(index, protocol, is_shuffled)
        for index, step in enumerate(STEPS)
        for is_shuffled in ((False, True) if step.is_lookup or index == last else (False,))
        for protocol in PROTOCOLS
    ]


def run_journey(
    settings: JourneySettings,
    out: Path,
    parts: Path,
    *,
    protocols: tuple[str, ...] = PROTOCOLS,
    monitor: Monitor | None = None,
    adopt: bool = False,
) -> list[Row]:
    """Trains what is not trained yet and writes journey.csv, journey.md and journey.png.

    Args:
        out: folder of the table and the figure.
        parts: folder of the finished rows' predictions; a row that is there is not trained again.
        protocols: train only these; the table has all rows that are there.
        adopt: also if rows of an earlier version do not say which songs they are of.

    Raises:
        SettingError: `parts` holds rows of other settings or songs.
    """
    monitor = monitor or Monitor()
    with claim(parts):
        return _run(settings, out, parts, protocols, monitor, adopt)


def _run(
    settings: JourneySettings, out: Path, parts: Path, protocols: tuple[str, ...],
    monitor: Monitor, adopt: bool,
) -> list[Row]:  # fmt: skip
    config = plans()[-1].config(settings).from_anywhere()
    corpus = prepare(config.data, config.frontend.sample_rate)
    sides = [(track.fold, settings.folds) for track in corpus.tracks]
    Run.start(parts, config, fingerprint(corpus, sides), adopt=adopt)
    for plan in plans():
        path = parts / f"{plan.slug}.npz"
        if plan.protocol in protocols and not path.is_file():
            monitor.message(f"{STEPS[plan.step].name}, {plan.slug}")
            join(list(predict(plan, settings, monitor))).save(path)
    there = [plan for plan in plans() if (parts / f"{plan.slug}.npz").is_file()]
    rows = [_row(plan, Predictions.load(parts / f"{plan.slug}.npz"), settings) for plan in there]
    about = About(
        data=settings.data.name, folds=settings.folds, seed=settings.seed,
        options=settings.options, num_missing=len(plans()) - len(there),
    )  # fmt: skip
    write_journey(rows, out, about)
    return rows


def _row(plan: Plan, predictions: Predictions, settings: JourneySettings) -> Row:
    return Row.of(
        predictions,
        step=STEPS[plan.step].name,
        protocol=plan.protocol,
        is_shuffled=plan.is_shuffled,
        config_hash=plan.config(settings).hash(),
        random=np.random.default_rng(settings.seed),
    )


def predict(plan: Plan, settings: JourneySettings, monitor: Monitor) -> Iterator[Predictions]:
    """Predictions of the scored part, one record a fold."""
    config = plan.config(settings)
    corpus = prepare(config.data, config.frontend.sample_rate)
    if plan.is_shuffled:
        corpus = shuffled_labels(corpus, settings.seed)
    segment = samples_of(config.data.segment_seconds, corpus.sample_rate)
    if plan.protocol == "leaky":
        corpus, split = leaky_songs(corpus, segment, settings.seed)
        # What chose the best epoch is what is reported, as in the study.
        chosen = [(split, split.validation)]
    else:
        splits = (honest_split(corpus, config.data, f, settings.seed) for f in settings.folds)
        chosen = [(split, split.test) for split in splits]
    part = "leaky" if plan.protocol == "leaky" else "test"
    for split, scored in chosen:
        if STEPS[plan.step].is_lookup:
            epochs = {"epochs": "0"}
            outputs = nearest_outputs(
                corpus, split.train, scored, frontend=config.frontend, segment_samples=segment
            )
        else:
            trainer = _train(config, corpus, split, monitor)
            progress = trainer.progress
            epochs = {"epochs": f"{progress.epoch - 1}", "best_epoch": f"{progress.best.epoch}"}
            outputs = trainer.song_outputs(trainer.model, scored)
        yield _record(outputs, corpus, scored, part, epochs)


def _train(config: Config, corpus: Corpus, split: Split, monitor: Monitor) -> Trainer:
    """A trainer that has run and holds the weights of its best epoch."""
    torch.manual_seed(config.training.seed)
    model = build_model(config.model.arch, corpus.moods, frontend=config.frontend)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model, arch=config.model.arch, config=config, corpus=corpus, split=split,
            device=find_device(config.run.device), ranks=Ranks(), run=Path(folder),
            monitor=monitor,
        )  # fmt: skip
        try:
            trainer.fit(None)
        finally:
            monitor.finish()
        trainer.model.encoder.load_state_dict(load_checkpoint(Path(folder) / BEST)["encoder"])
    trainer.average = None
    return trainer


def _record(
    outputs: SongOutputs,
    corpus: Corpus,
    scored: tuple[int, ...],
    part: str,
    epochs: dict[str, str],
) -> Predictions:
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
        provenance={**epochs, "commit": versions()["commit"]},
    )
