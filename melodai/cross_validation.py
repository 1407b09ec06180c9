"""Cross-validation: every fold is the test part once, and the answers are scored together."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from melodai.checkpoint import LAST
from melodai.config import Config
from melodai.data.corpus import Corpus, prepare
from melodai.data.splits import make_split
from melodai.errors import SettingError
from melodai.evaluation.leaks import leak_warnings
from melodai.evaluation.predictions import FILE_NAME, Predictions, join
from melodai.evaluation.run import EVALUATION, evaluate_run
from melodai.evaluation.summary import Evaluation, evaluate, write_json
from melodai.run import Run, claim, fingerprint, is_trained
from melodai.training.distributed import launched_by_torchrun
from melodai.training.monitor import Monitor
from melodai.training.run import resume, sample_rate_of, train


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """All folds of one setting.

    Attributes:
        run: the folder, which holds `fold-0`, `fold-1`, … and what they come to together.
        evaluation: of every song, each by the model that did not see its artist.
        folds: of each fold's songs alone.
    """

    run: Path
    evaluation: Evaluation
    folds: tuple[Evaluation, ...]


@dataclass(frozen=True)
class Folds:
    """The songs, the fold of each, and the numbers of the folds."""

    corpus: Corpus
    of_song: tuple[int, ...]
    numbers: tuple[int, ...]

    @property
    def songs(self) -> str:
        """What the results of cross-validations are known by, besides the settings."""
        return fingerprint(self.corpus, self.of_song)


def cross_validate(
    config: Config, monitor: Monitor | None = None, *, adopt: bool = False, listen: bool = True
) -> CrossValidation:
    """Trains and evaluates a run for every fold; one that was begun is gone on with.

    The folder `--out` holds a run folder a fold, and `predictions.npz`, `predictions.csv` and
    `evaluation.json` of all songs. Called again, it does what is left to do.

    Args:
        adopt: also if a folder of an earlier version does not say which songs it was begun with.
        listen: for copies of a recording in several folds.

    Raises:
        SettingError: `--out` is missing, or holds the folds of other settings or songs.
        MelodaiError: what training and evaluation raise.
    """
    monitor = monitor or Monitor()
    run = config.run.out
    if config.data.all_songs:
        raise SettingError("--cv tests on every song in turn; it is not for --all-songs")
    if run is None:
        raise SettingError("--cv needs --out, so that it can be gone on with when interrupted")
    if launched_by_torchrun():
        raise SettingError("--cv trains its folds in one process; start it without torchrun")
    with claim(run):
        return _cross_validate(config.from_anywhere(), run, monitor, adopt=adopt, listen=listen)


def _cross_validate(
    config: Config, run: Path, monitor: Monitor, *, adopt: bool, listen: bool
) -> CrossValidation:
    folds = folds_of(config)
    Run.start(run, config, folds.songs, adopt=adopt)
    if listen:
        warn_of_leaks(folds, config, monitor)
    evaluations, predictions = [], []
    for fold in folds.numbers:
        folder = run / f"fold-{fold}"
        monitor.message(f"fold {fold}: {folder}")
        if not is_trained(folder):
            _train_fold(config, folder, fold, monitor, adopt=adopt)
        # Once more where the fold is done already: nothing is left to chance in an evaluation.
        evaluation, predicted = evaluate_run(
            folder, cache_dir=config.data.cache_dir, device=config.run.device
        )
        evaluations.append(evaluation)
        predictions.append(predicted)
    together, pooled = evaluate(
        join(predictions), random=np.random.default_rng(config.training.seed)
    )
    pooled.save(run / FILE_NAME)
    pooled.write_csv(run / "predictions.csv")
    write_json(together, run / EVALUATION)
    return CrossValidation(run=run, evaluation=together, folds=tuple(evaluations))


def folds_of(config: Config) -> Folds:
    """The songs in the folds that the data gives, or in those that are made from the seed."""
    corpus = prepare(config.data, sample_rate_of(config))
    split = make_split(
        corpus.tracks, corpus.keys, fold=0, num_folds=config.data.num_folds,
        validation_fraction=config.data.validation_fraction, seed=config.training.seed,
    )  # fmt: skip
    if not split.folds:
        raise SettingError("--cv: the data gives train and test parts, not folds")
    return Folds(corpus, split.folds, tuple(sorted(set(split.folds))))


def warn_of_leaks(folds: Folds, config: Config, monitor: Monitor) -> None:
    """Listens once for copies that stand in several folds."""
    parts = {index: f"fold {fold}" for index, fold in enumerate(folds.of_song)}
    found = leak_warnings(
        folds.corpus, parts, config.data.cache_dir, partial(monitor.working, "listening for copies")
    )
    for warning in found:
        monitor.warning(warning)


def _train_fold(config: Config, folder: Path, fold: int, monitor: Monitor, *, adopt: bool) -> None:
    if (folder / LAST).exists():
        resume(
            folder, monitor, adopt=adopt, data=config.data.data, device=config.run.device,
            cache_dir=config.data.cache_dir,
        )  # fmt: skip
    else:
        train(config.with_options(fold=fold, out=folder), monitor)


def load_predictions(run: Path) -> Predictions:
    """The test predictions of a run, or of all folds of a cross-validation."""
    return Predictions.load(run / FILE_NAME)
