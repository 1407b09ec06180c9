"""Chooses heads and their temperatures, within the training songs alone.

Every candidate is fitted on four fifths of the songs and answers for the last fifth, five times,
with artists kept together. Of each kind of head, and for each of the joined networks, the candidate
with the lowest log-loss of the songs (after the best temperature) is fitted on all; where there are
several, their calibrated logits are averaged.
"""

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    "svm": (1.0, 0.6, 0.3),
    "ridge": (0.1, 0.3, 1.0, 3.0),
    "mlp": (0.1, 1.0),
}
WIDTHS = {"svm": (1.0,), "ridge": (0.3, 1.0)}
AUTOMATIC = ("ridge", "svm", "linear")
SHARPEST, FLATTEST = 0.02, 50.0  # temperatures; songs that are told apart without error have none


@dataclass(frozen=True)
class Chosen:
    """Fitted heads and how they did on the songs they were chosen with, each while held out.

    Attributes:
        candidates: what was chosen, one for each head.
        logits: `(window, class)`, calibrated, of all songs, each by a head that did not hear it.
        losses: log-loss of each candidate, best first.
    """

    head: ProbeHead
    candidates: tuple[Candidate, ...]
    logits: np.ndarray
    losses: tuple[tuple[str, float], ...]


def candidates(
    head: str, summaries: Sequence[Mapping[str, torch.Tensor]], reading: str = "auto"
) -> list[Candidate]:
    """What is tried for `--head` and `--summaries`, for an embedding with these summaries."""
    kinds = AUTOMATIC if head == "auto" else (head,)

    def reads(table: Mapping[str, torch.Tensor]) -> tuple[tuple[str, ...], ...]:
        first, every = (next(iter(table)),), tuple(table)
        found = {"mean": (first,), "all": (every,), "auto": (first, every)}
        return tuple(dict.fromkeys(found[reading]))

    return [
        Candidate(kind=kind, member=member, summaries=read, strength=strength, width=width)
        for member, table in enumerate(summaries)
        for kind in kinds
        for read, strength, width in itertools.product(
            reads(table),
            STRENGTHS[kind],
            WIDTHS.get(kind, (1.0,)),
        )
    ]


def choose_head(
    head: str,
    examples: Examples,
    summaries: Sequence[Mapping[str, torch.Tensor]],
    *,
    seed: int,
    reading: str = "auto",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Chosen:
    """Fits the best heads of the kinds that are asked for.

    Raises:
        DataError: too few artists to hold some of them out.
    """
    folds = inner_folds(examples, seed)
    tried = candidates(head, summaries, reading)
    held_out = held_out_logits(tried, examples, summaries, folds, seed, on_progress)
    found = [best_sharpness(logits, examples) for logits in held_out]
    best: dict[tuple[int, str], int] = {}
    for index, candidate in enumerate(tried):
        rival = best.setdefault((candidate.member, candidate.kind), index)
        if found[index].loss < found[rival].loss:
            best[candidate.member, candidate.kind] = index
    heads = []
    for index in best.values():
        columns = columns_of(summaries[tried[index].member], tried[index].summaries)
        fitted = fit_head(tried[index], Inputs(examples, columns), seed)
        fitted.sharpness.fill_(found[index].sharpness)
        heads.append(fitted)
    logits = np.mean([held_out[i] * found[i].sharpness for i in best.values()], axis=0)
    together = ProbeHead(heads).eval()
    sharpness = best_sharpness(logits, examples).sharpness
    together.sharpness.fill_(sharpness)
    order = sorted(range(len(tried)), key=lambda index: found[index].loss)
    return Chosen(
        head=together, candidates=tuple(tried[index] for index in best.values()),
        logits=logits * sharpness,
        losses=tuple((str(tried[index]), found[index].loss) for index in order),
    )  # fmt: skip


def inner_folds(examples: Examples, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Songs to fit on and songs held out, `NUM_INNER_FOLDS` times.

    Raises:
        DataError: there are too few artists.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    commonest = int(np.bincount(examples.labels).max())
    count = min(NUM_INNER_FOLDS, len(np.unique(examples.groups)), commonest)
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
    summaries: Sequence[Mapping[str, torch.Tensor]],
    folds: list[tuple[np.ndarray, np.ndarray]],
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """What heads say of each song while it is held out: `(window, class)` each, not calibrated."""
    logits = [np.zeros((len(examples.songs), examples.num_classes)) for _ in tried]
    reads = list(dict.fromkeys((c.member, c.summaries) for c in tried))
    for number, (fit, held) in enumerate(folds):
        known, rows = examples.take(fit), np.isin(examples.songs, held)
        inputs = {
            (member, names): Inputs(known, columns_of(summaries[member], names))
            for member, names in reads
        }
        sounds = torch.from_numpy(examples.embeddings[rows])
        for candidate, said in zip(tried, logits, strict=True):
            head = fit_head(candidate, inputs[candidate.member, candidate.summaries], seed)
            with torch.inference_mode():
                said[rows] = head(sounds).double().numpy()
        on_progress(number + 1, len(folds))
    return logits


class Fit(NamedTuple):
    """A factor on logits, and the songs' log-loss with it."""

    sharpness: float
    loss: float


def best_sharpness(logits: np.ndarray, examples: Examples) -> Fit:
    """The factor on the logits at which the songs' log-loss is lowest.

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
    return Fit(float(np.exp(found.x)), float(found.fun))
