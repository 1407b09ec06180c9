"""What a finished run shows of its best epoch: pictures, songs to listen to, the space of songs."""

import torch

from melodai.data.segments import Segment
from melodai.metrics import MoodScores, pool_by_track
from melodai.training.logger import RunLogger, as_audio
from melodai.training.trainer import Trainer

NUM_WRONG_SONGS = 5
SECONDS_TO_LISTEN = 20.0
# The projector is a page in a browser; more points than this make it slow.
MOST_POINTS = 5000


def summarise(trainer: Trainer, logger: RunLogger | None) -> MoodScores:
    """Scores of the validation songs with the present weights; logs what they look like."""
    tracks = list(trainer.split.validation)
    probabilities = trainer.song_probabilities(tracks)
    scores = trainer.scores_of(probabilities, tracks)
    if logger is None:
        return scores
    best = trainer.progress.best.epoch
    labels = trainer.labels[tracks].numpy()
    logger.validation(probabilities, labels, best)
    _log_wrong_songs(trainer, logger, tracks, probabilities)
    _log_embedding(trainer, logger)
    return scores


def _log_wrong_songs(trainer: Trainer, logger: RunLogger, tracks: list[int], probabilities) -> None:
    """The songs whose own mood was thought least likely, surest mistake first."""
    moods, corpus = trainer.corpus.moods, trainer.corpus
    predicted = probabilities.argmax(1)
    labels = trainer.labels[tracks].numpy()
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


def _log_embedding(trainer: Trainer, logger: RunLogger) -> None:
    """Each training and validation song as the mean of its windows' embeddings."""
    split, corpus = trainer.split, trainer.corpus
    tracks = [*split.validation, *split.train][:MOST_POINTS]
    outputs = trainer.song_outputs(trainer.model, tracks)
    predicted = pool_by_track(outputs.probabilities(), outputs.places, len(tracks)).argmax(1)
    where = torch.from_numpy(outputs.places)
    total = torch.zeros(len(tracks), outputs.embeddings.shape[1])
    total.index_add_(0, where, outputs.embeddings)
    embeddings = total / torch.bincount(where, minlength=len(tracks))[:, None]
    validation = set(split.validation)
    rows = [
        (
            corpus.tracks[track].mood,
            corpus.moods[mood],
            "validation" if track in validation else "train",
            corpus.tracks[track].name,
        )
        for track, mood in zip(tracks, predicted, strict=True)
    ]
    logger.embedding(embeddings, rows, trainer.progress.best.epoch)
