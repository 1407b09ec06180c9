"""A run's model on songs it was not trained on: predictions, calibrated on validation alone."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from melodai.checkpoint import BEST, load_checkpoint, load_model
from melodai.config import Config
from melodai.data.corpus import Corpus, prepare
from melodai.data.segments import samples_of
from melodai.data.splits import read_split
from melodai.data.waveforms import CachedWaveforms
from melodai.environment import find_device, versions
from melodai.errors import DataError
from melodai.evaluation.predictions import FILE_NAME, Predictions, make_predictions
from melodai.evaluation.summary import Evaluation, evaluate, write_json
from melodai.inference import infer_songs
from melodai.models import MoodModel

EVALUATION = "evaluation.json"

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int, Path], None]


def evaluate_run(
    run: Path,
    *,
    data: Path | None = None,
    cache_dir: Path | None = None,
    device: str = "auto",
    num_decoders: int | None = None,
    on_progress: OnProgress = lambda done, total, path: None,
) -> tuple[Evaluation, Predictions]:
    """Evaluates a run's best model, on its own test part or on other labelled songs.

    The test part is written to the run folder: `predictions.npz`, `predictions.csv`,
    `evaluation.json`.

    Args:
        data: other songs, anything that `--data` takes; all of them are evaluated.
        cache_dir, device, num_decoders: of this machine; the results do not depend on them.

    Raises:
        MelodaiError: no such run, songs that cannot be used, a run without a test part.
    """
    config = Config.from_json(load_checkpoint(run / BEST)["config"])
    model = load_model(run)
    here: dict[str, Any] = {"num_decoders": num_decoders or config.data.num_decoders}
    here["cache_dir"] = cache_dir or config.data.cache_dir
    own = dataclasses.replace(config.data, **here)
    corpus = prepare(own, model.sample_rate, on_progress)
    split = read_split(run / "split.csv", corpus.tracks, corpus.keys)
    look = _Look(model, config, device)

    provenance = _provenance(run, config)
    validation = look.at(corpus, split.validation, "validation", provenance)
    if data is None:
        if not split.test:
            raise DataError(f"{run} has set no songs aside to test; give others with --data")
        predictions = look.at(corpus, split.test, "test", provenance)
    else:
        other = prepare(
            dataclasses.replace(own, data=data, soft_labels=False), model.sample_rate, on_progress
        )
        _warn_of_known_songs(other, corpus, (*split.train, *split.validation))
        predictions = look.at(other, range(len(other.tracks)), "all", provenance)
    random = np.random.default_rng(config.training.seed)
    evaluation, predictions = evaluate(predictions, validation, random=random)
    if data is None:
        validation.save(run / f"validation_{FILE_NAME}")
        predictions.save(run / FILE_NAME)
        predictions.write_csv(run / "predictions.csv")
        write_json(evaluation, run / EVALUATION)
    return evaluation, predictions


class _Look:
    """A model with all that is needed to let it look at songs."""

    def __init__(self, model: MoodModel, config: Config, device: str) -> None:
        self._device = find_device(device)
        self._model, self._config = model.to(self._device), config

    def at(
        self, corpus: Corpus, tracks: Sequence[int], part: str, provenance: dict[str, str]
    ) -> Predictions:
        """Predictions of some songs of a corpus, not calibrated."""
        config, tracks = self._config, list(tracks)
        outputs = infer_songs(
            self._model,
            CachedWaveforms(corpus.entries),
            tracks,
            segment_samples=samples_of(config.data.segment_seconds, self._model.sample_rate),
            batch_size=config.training.batch_size,
            device=self._device,
            precision=config.run.precision,
        )
        chosen = [corpus.tracks[track] for track in tracks]
        moods = self._model.moods
        return make_predictions(
            data=corpus.name,
            split=part,
            moods=moods,
            names=[track.name for track in chosen],
            labels=np.array([moods.index(track.mood) for track in chosen]),
            logits=outputs.logits.double().numpy(),
            tracks=outputs.places,
            starts_seconds=outputs.starts / self._model.sample_rate,
            lengths_seconds=outputs.lengths / self._model.sample_rate,
            artists=[track.artist for track in chosen],
            genres=[track.genre for track in chosen],
            paths=[track.path for track in chosen],
            soft=[track.scores for track in chosen],
            provenance=provenance,
        )


def _warn_of_known_songs(other: Corpus, corpus: Corpus, used: Sequence[int]) -> None:
    known = {corpus.keys[index] for index in used}
    twice = [t.name for t, key in zip(other.tracks, other.keys, strict=True) if key in known]
    if twice:
        logger.warning(
            "%d of these songs were trained on, the scores are too good; the first is %s",
            len(twice), twice[0],
        )  # fmt: skip


def _provenance(run: Path, config: Config) -> dict[str, str]:
    best = load_checkpoint(run / BEST)
    return {
        "run": run.name,
        "arch": best["arch"],
        "epoch": str(best["epoch"]),
        "seed": str(config.training.seed),
        "fold": str(config.data.fold),
        "config_hash": config.hash(),
        "commit": versions()["commit"],
    }
