"""A run that trains a head only: the network stays as it was published."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melodai.checkpoint import BEST, model_state, save_checkpoint
from melodai.config import Config
from melodai.data.corpus import Corpus
from melodai.data.segments import samples_of
from melodai.data.splits import Split
from melodai.data.tracks import listing
from melodai.embeddings import SongEmbeddings, embed_songs
from melodai.errors import SettingError
from melodai.metrics import MoodScores, scores_of_confusion
from melodai.models import MoodModel
from melodai.models.heads import LINEAR, Head, HeadShape, ProbeHead
from melodai.models.registry import find_architecture
from melodai.probe import HELD_OUT
from melodai.probe.choose import choose_head
from melodai.probe.examples import Examples
from melodai.probe.fit import MOST_COMPONENTS
from melodai.probe.space import FEWEST_SONGS, embed_sounds, fit_space
from melodai.references import FILE_NAME, References
from melodai.training.logger import RunLogger
from melodai.training.monitor import Monitor

logger = logging.getLogger(__name__)


def probe(
    model: MoodModel, corpus: Corpus, split: Split, config: Config, run: Path, arch: str,
    mode: str, device: torch.device, monitor: Monitor,
) -> dict[str, Any]:  # fmt: skip
    """Fits a head (or, for zero-shot, sets one up), and writes the run folder.

    All songs outside the test part are learned from: the head, its hyper-parameters and its
    temperature are chosen by holding some of them out in turn, by artist. What was said of each
    song while it was held out is in `held_out.npz`.

    Returns:
        the scores for `metrics.json`.
    """
    began = time.perf_counter()
    tracks = sorted((*split.train, *split.validation))
    embedded = embed_songs(
        model, corpus, tracks, name=arch,
        segment_samples=samples_of(config.data.segment_seconds, model.sample_rate),
        pieces=config.data.pieces, batch_size=config.training.batch_size, device=device,
        cache_dir=config.data.cache_dir,
        on_progress=lambda done, total, path: monitor.embedding(done, total),
    )  # fmt: skip
    fitting = time.perf_counter()
    examples = Examples.of(corpus, tracks, embedded)
    if mode == "zero-shot":
        head, logits, chosen = zero_shot(model, examples, arch), None, "tags"
        losses: tuple = ()
    else:
        found = choose_head(
            config.model.head,
            examples,
            model.encoder.summaries,
            seed=config.training.seed,
            reading=config.model.summaries,
        )
        head, logits, chosen = found.head, found.logits, "; ".join(map(str, found.candidates))
        losses = found.losses
    model.encoder.classifier = head
    if logits is None:
        with torch.inference_mode():
            logits = head(embedded.embeddings).double().numpy()
    monitor.message(f"head: {chosen}")
    _write_held_out(run, corpus, tracks, embedded, logits, model.sample_rate)
    _write_references(run, corpus, tracks, embedded, examples.groups, model, device)
    scores = _scores(examples, logits)
    _log(run, corpus, tracks, examples, embedded, logits, scores)
    save_checkpoint(
        run / BEST,
        {
            **model_state(model.cpu(), arch, config),
            "epoch": 1,
            "validation": {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1},
        },
    )
    return {
        "mode": mode,
        "head": chosen,
        "candidates": [{"head": name, "log_loss": round(loss, 4)} for name, loss in losses],
        "note": model.note,
        "num_parameters": model.num_parameters(),
        "epochs": 1,
        "best_epoch": 1,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_fitting": round(time.perf_counter() - fitting, 1),
        "validation": asdict(scores),
        "validation_by_set": {
            name: asdict(own) for name, own in _by_set(corpus, tracks, examples, logits).items()
        },
    }


def check_tags(arch: str, moods: Sequence[str]) -> None:
    """Checks that the network's own tags can be read as these moods.

    Raises:
        SettingError: it is not known which tags say them.
    """
    table = find_architecture(arch).tag_moods
    if missing := [mood for mood in moods if mood not in table]:
        raise SettingError(
            f"--mode zero-shot: which tags of {arch} say {listing(missing)} is not known; "
            f"ask for moods among {', '.join(table)}, or train a probe (--mode probe)"
        )


def zero_shot(model: MoodModel, examples: Examples, arch: str) -> ProbeHead:
    """A head that adds up the network's own tags, as its table of moods says.

    No label is used. Tags differ in how often they are said at all, so that each is standardised
    over the songs first.
    """
    table = find_architecture(arch).tag_moods
    names = model.encoder.tag_names
    inputs = model.encoder.summaries[0]["mean"].numpy()
    head = Head(HeadShape(kind=LINEAR, num_inputs=len(inputs), num_classes=len(model.moods)))
    x = examples.embeddings[:, inputs]
    deviation = x.std(0)
    weight = np.zeros((len(model.moods), len(inputs)))
    for row, mood in enumerate(model.moods):
        for tag, amount in table[mood].items():
            weight[row, names.index(tag)] = amount
        weight[row] /= np.abs(weight[row]).sum()
    # A mood whose tags vary together would be said more often: all moods get one deviation.
    said = ((x - x.mean(0)) / np.maximum(deviation, 1e-12)) @ weight.T
    weight /= said.std(0)[:, None]
    with torch.no_grad():
        head.columns.copy_(torch.from_numpy(inputs))
        head.mean.copy_(torch.from_numpy(x.mean(0)))
        head.scale.copy_(torch.from_numpy(1 / np.maximum(deviation, 1e-12)))
        head.scorer.weight.copy_(torch.from_numpy(weight))
        head.scorer.bias.zero_()
    return ProbeHead([head]).eval()


def _by_set(
    corpus: Corpus, tracks: list[int], examples: Examples, logits: np.ndarray
) -> dict[str, MoodScores]:
    """Of each data set's songs; nothing where there is one data set."""
    sets = np.array([corpus.tracks[track].data for track in tracks])
    found = {}
    for name in sorted(set(sets.tolist()) - {""}):
        songs = np.flatnonzero(sets == name)
        rows = np.isin(examples.songs, songs)
        found[name] = _scores(examples.take(songs), logits[rows])
    return found


def _scores(examples: Examples, logits: np.ndarray) -> MoodScores:
    said = examples.song_means(torch.from_numpy(logits).softmax(1).numpy())
    confusion = np.zeros((examples.num_classes,) * 2, np.int64)
    np.add.at(confusion, (examples.labels, said.argmax(1)), 1)
    right = said[np.arange(examples.num_songs), examples.labels]
    return scores_of_confusion(confusion, float(-np.log(np.maximum(right, 1e-12)).mean()))


def _write_held_out(
    run: Path, corpus: Corpus, tracks: list[int], embedded: SongEmbeddings, logits, rate: int
) -> None:
    names = np.array([corpus.tracks[track].name for track in tracks])
    with (run / HELD_OUT).open("wb") as file:
        np.savez_compressed(
            file, names=names, logits=logits, songs=embedded.places,
            starts=embedded.starts / rate, lengths=embedded.lengths / rate,
        )  # fmt: skip


def _write_references(
    run: Path, corpus: Corpus, tracks: list[int], embedded: SongEmbeddings, groups: np.ndarray,
    model: MoodModel, device: torch.device,
) -> None:  # fmt: skip
    """The songs; many of them in their principal components, beside a detector of no music."""
    songs, embeddings = [corpus.tracks[t] for t in tracks], song_embeddings(embedded, len(tracks))
    space = None
    if len(songs) >= FEWEST_SONGS and embeddings.shape[1] > MOST_COMPONENTS:
        others = embed_sounds(model, int(np.median(embedded.lengths)), device)
        space = fit_space(embeddings, others, groups)
    References.of(
        embeddings, names=[song.name for song in songs], artists=[song.artist for song in songs],
        moods=[song.mood for song in songs], space=space,
    ).save(run / FILE_NAME)  # fmt: skip


def song_embeddings(embedded: SongEmbeddings, num_songs: int) -> Tensor:
    """The mean of each song's windows, `(song, dimension)`."""
    where = torch.from_numpy(embedded.places)
    total = torch.zeros(num_songs, embedded.embeddings.shape[1])
    total.index_add_(0, where, embedded.embeddings)
    return total / torch.bincount(where, minlength=num_songs)[:, None]


def _log(
    run: Path, corpus: Corpus, tracks: list[int], examples: Examples, embedded: SongEmbeddings,
    logits: np.ndarray, scores: MoodScores,
) -> None:  # fmt: skip
    """The held-out songs' scores, as one point of the curves of a trained run."""
    said = examples.song_means(torch.from_numpy(logits).softmax(1).numpy())
    board = RunLogger(run, corpus.moods)
    board.scores("validation", scores, 1)
    board.validation(said, examples.labels, 1)
    rows = [
        (corpus.tracks[track].mood, corpus.moods[mood], "held out", corpus.tracks[track].name)
        for track, mood in zip(tracks, said.argmax(1), strict=True)
    ]
    board.embedding(song_embeddings(embedded, len(tracks)), rows, 1)
    board.close()
