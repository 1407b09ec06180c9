"""Chooses a head and its temperature, within the training songs alone.

Every candidate is fitted on four fifths of the songs and answers for the last fifth, five times,
with artists kept together; the candidate with the lowest log-loss of the songs, after the best
temperature, is fitted on all.
"""

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from melodai.errors import DataError
from melodai.models.heads import ProbeHead
from melodai.probe.examples import Examples, columns_of
from melodai.probe.fit import Candidate, Inputs, fit_head

NUM_INNER_FOLDS = 5
STRENGTHS = {
    "linear": (30.0, 300.0, 3000.0),
    "svm": (3.0, 1.0, 0.3, 0.1),
    "ridge": (0.1, 0.3, 1.0, 3.0),
    "mlp": (0.1, 1.0),
}
WIDTHS = {"svm": (0.3, 1.0), "ridge": (0.3, 1.0)}
AUTOMATIC = ("ridge", "svm", "linear")
SHARPEST, FLATTEST = 1e-3, 50.0


@dataclass(frozen=True)
class Chosen:
    """A fitted head and how it did on the songs it was chosen with, each while held out.

    Attributes:
        logits: `(window, class)`, calibrated, of all songs, each by a head that did not hear it.
        losses: log-loss of each candidate, best first.
    """

    head: ProbeHead
    candidate: Candidate
    logits: np.ndarray
    losses: tuple[tuple[str, float], ...]


def candidates(head: str, summaries: tuple[str, ...]) -> list[Candidate]:
    """What is tried for `--head`, for an embedding with these summaries."""
    kinds = AUTOMATIC if head == "auto" else (head,)
    reads = [(summaries[0],), *([summaries] if len(summaries) > 1 else [])]
    return [
        Candidate(kind=kind, summaries=tuple(read), strength=strength, width=width)
        for kind in kinds
        for read, strength, width in itertools.product(
            reads, STRENGTHS[kind], WIDTHS.get(kind, (1.0,))
        )
    ]


def choose_head(
    head: str,
    examples: Examples,
    summaries: dict[str, torch.Tensor],
    *,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Chosen:
    """Fits the best head of the kind that is asked for.

    Raises:
        DataError: too few artists to hold some of them out.
    """
    folds = inner_folds(examples, seed)
    tried = candidates(head, tuple(summaries))
    held_out = held_out_logits(tried, examples, summaries, folds, seed, on_progress)
    found = [(*best_sharpness(logits, examples), logits) for logits in held_out]
    best = min(range(len(tried)), key=lambda index: found[index][1])
    sharpness, _, logits = found[best]
    columns = columns_of(summaries, tried[best].summaries)
    fitted = fit_head(tried[best], Inputs(examples, columns), seed)
    fitted.sharpness.fill_(sharpness)
    order = sorted(range(len(tried)), key=lambda index: found[index][1])
    return Chosen(
        head=fitted, candidate=tried[best], logits=logits * sharpness,
        losses=tuple((str(tried[index]), found[index][1]) for index in order),
    )  # fmt: skip


def inner_folds(examples: Examples, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Songs to fit on and songs held out, `NUM_INNER_FOLDS` times.

    Raises:
        DataError: there are too few artists.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(NUM_INNER_FOLDS, len(np.unique(examples.groups)), examples.num_songs)
    if count < 2:
        raise DataError("a probe needs training songs of two artists at least")
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    rows = np.zeros(examples.num_songs)
    with warnings.catch_warnings():
        # Of moods with fewer songs than folds; they are then missing from some folds.
        warnings.simplefilter("ignore", UserWarning)
        return [
            (fit, held)
            for fit, held in splitter.split(rows, examples.labels, examples.groups)
            if len(fit) and len(held)
        ]


def held_out_logits(
    tried: list[Candidate],
    examples: Examples,
    summaries: dict[str, torch.Tensor],
    folds: list[tuple[np.ndarray, np.ndarray]],
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """What heads say of each song while it is held out: `(window, class)` each, not calibrated."""
    logits = [np.zeros((len(examples.songs), examples.num_classes)) for _ in tried]
    reads = list(dict.fromkeys(candidate.summaries for candidate in tried))
    for number, (fit, held) in enumerate(folds):
        known, rows = examples.take(fit), np.isin(examples.songs, held)
        inputs = {read: Inputs(known, columns_of(summaries, read)) for read in reads}
        sounds = torch.from_numpy(examples.embeddings[rows])
        for candidate, said in zip(tried, logits, strict=True):
            head = fit_head(candidate, inputs[candidate.summaries], seed)
            with torch.inference_mode():
                said[rows] = head(sounds).double().numpy()
        on_progress(number + 1, len(folds))
    return logits


def best_sharpness(logits: np.ndarray, examples: Examples) -> tuple[float, float]:
    """The factor on the logits at which the songs' log-loss is lowest, and that log-loss.

    A song's probabilities are the mean over its windows.
    """

    def loss(log_sharpness: float) -> float:
        scaled = logits * np.exp(log_sharpness)
        scaled = scaled - scaled.max(1, keepdims=True)
        shares = np.exp(scaled)
        songs = examples.song_means(shares / shares.sum(1, keepdims=True))
        right = songs[np.arange(examples.num_songs), examples.labels]
        return float(-np.log(np.maximum(right, 1e-12)).mean())

    bounds = (-np.log(FLATTEST), -np.log(SHARPEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x)), float(found.fun)
