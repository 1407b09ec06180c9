"""A run's model on songs it was not trained on: predictions, calibrated on validation alone."""

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from melodai.checkpoint import BEST, load_checkpoint, load_model
from melodai.config import Config
from melodai.data.corpus import Corpus, prepare
from melodai.data.excerpt import excerpts
from melodai.data.segments import samples_of
from melodai.data.splits import Split
from melodai.data.waveforms import CachedWaveforms
from melodai.embeddings import classify, embed_songs
from melodai.environment import find_device, versions
from melodai.errors import CheckpointError, DataError
from melodai.evaluation.picture_songs import by_song
from melodai.evaluation.predictions import FILE_NAME, Predictions, make_predictions
from melodai.evaluation.summary import Evaluation, evaluate, write_json
from melodai.inference import EVALUATED_IN, SongOutputs, infer_songs
from melodai.labels import moods_text
from melodai.models import MoodModel
from melodai.models.heads import ProbeHead
from melodai.probe import HELD_OUT
from melodai.run import Run, fingerprint, part_sides

EVALUATION = "evaluation.json"

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int, Path], None]


def evaluate_run(
    run: Path,
    *,
    data: Path | Sequence[Path] | None = None,
    cache_dir: Path | None = None,
    device: str = "auto",
    num_decoders: int | None = None,
    on_progress: OnProgress = lambda done, total, path: None,
) -> tuple[Evaluation, Predictions]:
    """Evaluates a run's best model, on its own test part or on other labelled songs.

    The test part is written to the run folder: `predictions.npz`, `predictions.csv`,
    `evaluation.json`. A folder that holds predictions but no model, as published results and
    cross-validations do, is scored again from these.

    Args:
        data: where the songs of the run are now; or other songs, anything that `--data` takes, also
            several; all of them are evaluated.
        cache_dir, device, num_decoders: of this machine; the results do not depend on them.

    Raises:
        MelodaiError: no such run, songs that cannot be used, a run without a test part.
    """
    if data is None and (run / FILE_NAME).is_file() and not (run / BEST).is_file():
        return evaluate_stored(run)
    begun, model = Run.open(run), load_model(run)
    config, rate = begun.config, model.sample_rate
    here: dict[str, Any] = {"num_decoders": num_decoders, "cache_dir": cache_dir}
    here["moods"] = moods_text(model.moods)
    look, provenance = _Look(model, config, device), _provenance(begun)
    corpus = other = None
    if data is not None:
        given = dataclasses.replace(begun.data(data=data, **here), soft_labels=False)
        other = prepare(given, rate, on_progress)
        if begun.has(other):
            corpus, other = other, None
    if corpus is None:
        corpus = prepare(begun.data(**here), rate, on_progress)
    corpus, split = begun.own(corpus)
    begun.check(fingerprint(corpus, part_sides(corpus, split)), adopt=True)
    if (run / HELD_OUT).is_file():
        validation = look.held_out(corpus, run / HELD_OUT, provenance)
    else:
        validation = look.at(corpus, split.validation, "validation", provenance)
    if other is None:
        predictions = _tested(run, split, look, corpus, validation, provenance)
    else:
        _warn_of_known_songs(other, begun.keys("train", "validation"))
        predictions = look.at(other, range(len(other.tracks)), "all", provenance)
    random = np.random.default_rng(config.training.seed)
    evaluation, predictions = evaluate(predictions, validation, random=random)
    if other is None:
        validation.save(run / f"validation_{FILE_NAME}")
        predictions.save(run / FILE_NAME)
        predictions.write_csv(run / "predictions.csv")
        write_json(evaluation, run / EVALUATION)
    return evaluation, predictions


def evaluate_stored(run: Path) -> tuple[Evaluation, Predictions]:
    """Scores the stored predictions of a folder anew, and writes `evaluation.json`.

    Raises:
        DataError: the folder holds no predictions.
    """
    predictions = Predictions.load(run / FILE_NAME)
    validation = None
    if (run / f"validation_{FILE_NAME}").is_file():
        validation = Predictions.load(run / f"validation_{FILE_NAME}")
    random = np.random.default_rng(int(predictions.provenance.get("seed", "0")))
    evaluation, predictions = evaluate(predictions, validation, random=random)
    write_json(evaluation, run / EVALUATION)
    return evaluation, predictions


def _tested(
    run: Path, split: Split, look: "_Look", corpus: Corpus, validation: Predictions,
    provenance: dict[str, str],
) -> Predictions:  # fmt: skip
    """The test part; of a probe of all songs, what was said of each while it was held out.

    Raises:
        DataError: there is neither.
    """
    if split.test:
        return look.at(corpus, split.test, "test", provenance)
    if not (run / HELD_OUT).is_file():
        raise DataError(f"{run} has set no songs aside to test; give others with --data")
    logger.warning(
        "no songs were set aside to test: these are scores of songs held out in turn, by which the "
        "head was chosen too; --cv gives scores to quote"
    )
    return validation


class _Windows(NamedTuple):
    """Logits `(window, class)` and each window's song and place in seconds, `(window,)`."""

    logits: np.ndarray
    songs: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


class _Look:
    """A model with all that is needed to let it look at songs."""

    def __init__(self, model: MoodModel, config: Config, device: str) -> None:
        self._device = find_device(device)
        self._model, self._config = model.to(self._device), config

    def at(
        self, corpus: Corpus, tracks: Sequence[int], part: str, provenance: dict[str, str]
    ) -> Predictions:
        """Predictions of some songs of a corpus, not calibrated."""
        outputs, rate = self._outputs(corpus, list(tracks)), self._model.sample_rate
        windows = _Windows(
            logits=outputs.logits.double().numpy(), songs=outputs.places,
            starts=outputs.starts / rate, lengths=outputs.lengths / rate,
        )  # fmt: skip
        return self._predictions(corpus, list(tracks), windows, part, provenance)

    def held_out(self, corpus: Corpus, path: Path, provenance: dict[str, str]) -> Predictions:
        """What a probe's heads said of its own songs, each while it was held out."""
        try:
            with np.load(path, allow_pickle=False) as file:
                names = file["names"].tolist()
                windows = _Windows(
                    logits=file["logits"], songs=file["songs"], starts=file["starts"],
                    lengths=file["lengths"],
                )  # fmt: skip
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; train the probe again") from error
        place = {track.name: index for index, track in enumerate(corpus.tracks)}
        tracks = [place[name] for name in names]
        return self._predictions(corpus, tracks, windows, "validation", provenance)

    def _outputs(self, corpus: Corpus, tracks: list[int]) -> SongOutputs:
        config, model = self._config, self._model
        settings: dict[str, Any] = {
            "segment_samples": samples_of(config.data.segment_seconds, model.sample_rate),
            "batch_size": config.training.batch_size,
            "device": self._device,
        }
        if not isinstance(model.encoder.classifier, ProbeHead):
            songs = excerpts(corpus.entries, config.data.pieces, settings["segment_samples"])
            return infer_songs(model, CachedWaveforms(songs), tracks, **settings)
        songs = embed_songs(
            model, corpus, tracks, name=config.model.arch, cache_dir=config.data.cache_dir,
            pieces=config.data.pieces, **settings,
        )  # fmt: skip
        return classify(model, songs)

    def _predictions(
        self, corpus: Corpus, tracks: list[int], windows: "_Windows", part: str,
        provenance: dict[str, str],
    ) -> Predictions:  # fmt: skip
        chosen, moods = [corpus.tracks[track] for track in tracks], self._model.moods
        songs = windows.songs
        if corpus.holds_pictures:
            chosen, shown = by_song(chosen)
            songs = shown[songs]
        return make_predictions(
            data=corpus.name,
            split=part,
            moods=moods,
            names=[track.name for track in chosen],
            labels=np.array([moods.index(track.mood) for track in chosen]),
            logits=windows.logits,
            tracks=songs,
            starts_seconds=windows.starts,
            lengths_seconds=windows.lengths,
            artists=[track.artist for track in chosen],
            genres=[track.genre for track in chosen],
            paths=[track.path for track in chosen],
            sets=[track.data for track in chosen],
            soft=[track.scores for track in chosen],
            provenance=provenance,
        )


def _warn_of_known_songs(other: Corpus, known: Collection[str]) -> None:
    twice = [t.name for t, key in zip(other.tracks, other.keys, strict=True) if key in known]
    if twice:
        logger.warning(
            "%d of these songs were trained on, the scores are too good; the first is %s",
            len(twice), twice[0],
        )  # fmt: skip


def _provenance(run: Run) -> dict[str, str]:
    best, config = load_checkpoint(run.folder / BEST), run.config
    return {
        "run": run.folder.name,
        "arch": best["arch"],
        "epoch": str(best["epoch"]),
        "seed": str(config.training.seed),
        "fold": str(config.data.fold),
        "precision": EVALUATED_IN,
        "config_hash": config.hash(),
        "songs": run.songs or "",
        "commit": versions()["commit"],
    }
