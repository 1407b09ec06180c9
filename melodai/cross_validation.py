"""Cross-validation: every fold is the test part once, and the answers are scored together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melodai.checkpoint import LAST, replace_text
from melodai.config import Config
from melodai.data.corpus import prepare
from melodai.data.splits import make_split
from melodai.errors import SettingError
from melodai.evaluation.predictions import FILE_NAME, Predictions, join
from melodai.evaluation.run import EVALUATION, evaluate_run
from melodai.evaluation.summary import Evaluation, evaluate, write_json
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


def cross_validate(config: Config, monitor: Monitor | None = None) -> CrossValidation:
    """Trains and evaluates a run for every fold; one that was begun is gone on with.

    The folder `--out` holds a run folder a fold, and `predictions.npz`, `predictions.csv` and
    `evaluation.json` of all songs. Called again, it does what is left to do.

    Raises:
        SettingError: `--out` is missing or holds another setting's folds.
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
    _claim(run, config)
    evaluations, predictions = [], []
    for fold in folds_of(config):
        folder = run / f"fold-{fold}"
        monitor.message(f"fold {fold}: {folder}")
        _train_fold(config, folder, fold, monitor)
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


def folds_of(config: Config) -> list[int]:
    """The folds that the data gives, or those that are made from the seed."""
    corpus = prepare(config.data, sample_rate_of(config))
    split = make_split(
        corpus.tracks, corpus.keys, fold=0, num_folds=config.data.num_folds,
        validation_fraction=config.data.validation_fraction, seed=config.training.seed,
    )  # fmt: skip
    folds = sorted({fold for fold in split.folds if fold is not None})
    if not folds:
        raise SettingError("--cv: the data gives train and test parts, not folds")
    return folds


def _claim(run: Path, config: Config) -> None:
    """Writes the settings, or checks that those of an earlier call are the same."""
    path = run / "config.json"
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        replace_text(path, config.to_json())
    elif Config.from_json(path.read_text(encoding="utf-8")).hash() != config.hash():
        raise SettingError(f"{run} holds the folds of other settings; choose another --out")


def _train_fold(config: Config, folder: Path, fold: int, monitor: Monitor) -> None:
    if (folder / "metrics.json").exists():
        return
    if (folder / LAST).exists():
        resume(folder, monitor, device=config.run.device, cache_dir=config.data.cache_dir)
    else:
        train(config.with_options(fold=fold, out=folder), monitor)


def load_predictions(run: Path) -> Predictions:
    """The test predictions of a run, or of all folds of a cross-validation."""
    return Predictions.load(run / FILE_NAME)
