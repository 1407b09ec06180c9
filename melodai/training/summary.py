"""What a finished run shows of its best epoch: pictures, songs to listen to, the space of songs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from melodai.data.loader import Batch
from melodai.data.segments import Segment
from melodai.explain.picture import contributions_figure
from melodai.explain.window import explain_window
from melodai.inference import SongOutputs, to_float
from melodai.metrics import MoodScores, pool_by_track
from melodai.references import FILE_NAME, References
from melodai.training.augmentation import pictures_of
from melodai.training.logger import RunLogger, as_audio

if TYPE_CHECKING:
    from melodai.training.trainer import Trainer

NUM_WRONG_SONGS = 5
SECONDS_TO_LISTEN = 20.0
# Of the wrong songs; a few steps of gradients each, which takes seconds and not minutes.
NUM_EXPLAINED, EXPLAINING_STEPS = 3, 48
# A new song is held against every reference, and the projector is a page in a browser: of more
# songs than these an even choice is taken.
MOST_REFERENCES, MOST_VALIDATION_POINTS = 4000, 1000
PICTURES_IN_GRID = 12


def summarise(
    trainer: "Trainer", logger: RunLogger | None
) -> tuple[MoodScores, dict[str, MoodScores]]:
    """Scores of the validation songs, and of each data set's, where there are several; logs them.

    The first process also writes the training songs' embeddings into the run folder.
    """
    tracks = list(trainer.split.validation)
    probabilities = trainer.song_probabilities(tracks)
    scores = trainer.targets.scores(probabilities, tracks)
    by_set = trainer.targets.scores_by_set(probabilities, tracks)
    if not trainer.ranks.is_first:
        return scores, by_set
    train = _evenly(trainer.split.train, MOST_REFERENCES)
    shown = [*train, *_evenly(tracks, MOST_VALIDATION_POINTS)]
    outputs = trainer.song_outputs(trainer.model, shown)
    _write_references(trainer, train, outputs.song_embeddings(len(shown))[: len(train)])
    if logger is not None:
        labels = trainer.targets.labels[tracks].numpy()
        logger.validation(probabilities, labels, trainer.progress.best.epoch)
        if not trainer.corpus.holds_pictures:
            _log_wrong_songs(trainer, logger, tracks, probabilities)
        _log_embedding(trainer, logger, shown, outputs)
    return scores, by_set


def log_augmented(trainer: "Trainer", logger: RunLogger, batch: Batch, features: Any) -> None:
    """A grid of pictures as the network saw them, after 0, 1, 2, 4, 8, … epochs."""
    epochs_done = trainer.progress.epoch - 1
    shown = pictures_of(trainer.model.frontend, features)
    if epochs_done & (epochs_done - 1) or shown is None:
        return
    shown = shown[:PICTURES_IN_GRID]
    moods = [trainer.corpus.tracks[index].mood for index in batch.track[: len(shown)].tolist()]
    seconds = None
    if not trainer.corpus.holds_pictures:
        seconds = batch.num_samples.float().mean().item() / trainer.model.sample_rate
    logger.augmented(shown, moods, seconds, trainer.progress.epoch)


def _evenly(tracks: Sequence[int], most: int) -> list[int]:
    step = max(1, -(-len(tracks) // most))
    return list(tracks[::step])


def _write_references(trainer: "Trainer", tracks: list[int], embeddings: Tensor) -> None:
    """The songs it learned from: what is like a new song, and whether anything is."""
    songs = [trainer.corpus.tracks[track] for track in tracks]
    References.of(
        embeddings,
        names=[song.name for song in songs],
        artists=[song.artist for song in songs],
        moods=[song.mood for song in songs],
    ).save(trainer.run / FILE_NAME)


def _log_wrong_songs(
    trainer: "Trainer", logger: RunLogger, tracks: list[int], probabilities
) -> None:
    """The songs whose own mood was thought least likely, surest mistake first."""
    moods, corpus = trainer.corpus.moods, trainer.corpus
    predicted = probabilities.argmax(1)
    labels = trainer.targets.labels[tracks].numpy()
    wrong = sorted(
        (index for index in range(len(tracks)) if predicted[index] != labels[index]),
        key=lambda index: (-probabilities[index].max(), corpus.tracks[tracks[index]].name),
    )
    rate = trainer.model.sample_rate
    for rank, index in enumerate(wrong[:NUM_WRONG_SONGS], start=1):
        track = corpus.tracks[tracks[index]]
        shares = ", ".join(f"{m} {p:.2f}" for m, p in zip(moods, probabilities[index], strict=True))
        text = f"**{track.name}**: {track.mood} by its label; predicted {shares}"
        length = int(SECONDS_TO_LISTEN * rate)
        middle = max(0, (corpus.entries[tracks[index]].num_samples - length) // 2)
        excerpt = trainer.waveforms.gather([Segment(tracks[index], middle, length)])[0].cpu()
        logger.wrong_song(rank, text, as_audio(excerpt), rate, trainer.progress.best.epoch)
        if rank <= NUM_EXPLAINED and hasattr(trainer.model.frontend, "axes"):
            _log_explanation(trainer, logger, rank, tracks[index], probabilities[index])


def _log_explanation(
    trainer: "Trainer", logger: RunLogger, rank: int, track: int, probabilities: np.ndarray
) -> None:
    """What in the middle of a song spoke for the mood that it was taken for."""
    song, rate = trainer.corpus.tracks[track], trainer.model.sample_rate
    mood = int(probabilities.argmax())
    there = trainer.corpus.entries[track].num_samples
    length = trainer.segment_samples or there
    start = max(0, (there - length) // 2)
    excerpt = trainer.waveforms.gather([Segment(track, start, length)])
    why = explain_window(
        trainer.model.eval(), to_float(excerpt, trainer.device), mood, most_steps=EXPLAINING_STEPS
    )
    predicted = trainer.corpus.moods[mood]
    figure = contributions_figure(
        why.contributions, excerpt[0].cpu().numpy(), rate,
        title=f"{song.name}: {predicted}, {probabilities[mood]:.0%}; {song.mood} by its label",
        subtitle=f"{length / rate:.0f} s of it, from {start / rate:.0f} s on",
        mood=predicted, method=why.method,
    )  # fmt: skip
    logger.explanation(rank, figure, trainer.progress.best.epoch)


def _log_embedding(
    trainer: "Trainer", logger: RunLogger, tracks: list[int], outputs: SongOutputs
) -> None:
    """Songs as the means of their windows' embeddings."""
    corpus, validation = trainer.corpus, set(trainer.split.validation)
    predicted = pool_by_track(outputs.probabilities(), outputs.places, len(tracks)).argmax(1)
    rows = [
        (
            corpus.tracks[track].mood,
            corpus.moods[mood],
            "validation" if track in validation else "train",
            corpus.tracks[track].name,
        )
        for track, mood in zip(tracks, predicted, strict=True)
    ]
    embeddings = outputs.song_embeddings(len(tracks))
    logger.embedding(embeddings, rows, trainer.progress.best.epoch)
