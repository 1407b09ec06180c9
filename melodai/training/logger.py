"""TensorBoard, and nothing but TensorBoard. One writer, in the run folder itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from melodai.legible import legible
from melodai.metrics import MoodScores
from melodai.training import pictures
from melodai.training.monitor import EpochReport


class RunLogger:
    """Writes what a run learns, does and gets wrong.

    Args:
        run: the run folder.
        moods: class names.
        first_epoch: on resuming, the epoch (from 1) that is done next; what an interrupted run
            wrote from there on is hidden.
    """

    def __init__(self, run: Path, moods: Sequence[str], first_epoch: int = 1) -> None:
        self._moods = tuple(moods)
        purge = first_epoch if first_epoch > 1 else None
        self._writer = SummaryWriter(str(run), purge_step=purge, flush_secs=10)

    def epoch(self, report: EpochReport) -> None:
        """The curves."""
        add, at = self._writer.add_scalar, report.epoch
        self.scores("train", report.train, at)
        self.scores("validation", report.validation, at)
        add("optimizer/learning_rate", report.learning_rate, at)
        add("optimizer/gradient_norm", report.gradient_norm, at)
        add("speed/segments_per_second", report.segments_per_second, at)
        add("speed/seconds_waiting_for_data", report.waiting_seconds, at)
        add("speed/seconds_per_epoch", report.seconds, at)

    def scores(self, part: str, scores: MoodScores, at: int) -> None:
        """Loss, accuracy and F1 of a part."""
        add = self._writer.add_scalar
        add(f"loss/{part}", scores.loss, at)
        add(f"accuracy/{part}", scores.accuracy, at)
        add(f"macro_f1/{part}", scores.macro_f1, at)
        for mood, f1 in zip(self._moods, scores.f1, strict=True):
            add(f"f1_{part}/{mood}", f1, at)

    def augmented(
        self, log_mels: Tensor, moods: Sequence[str], seconds: float | None, at: int
    ) -> None:
        """A grid of pictures as the network sees them, `(batch, 1, height, width)`."""
        figure = pictures.log_mel_grid(log_mels, moods, seconds)
        self._writer.add_figure("log_mel/as_trained_on", legible(figure), at)

    def validation(self, probabilities: np.ndarray, labels: np.ndarray, at: int) -> None:
        """Confusion matrix and precision–recall curves: `(track, class)` and `(track,)`."""
        figure = pictures.confusion_matrix(probabilities, labels, self._moods)
        self._writer.add_figure("confusion/validation", legible(figure), at)
        for index, mood in enumerate(self._moods):
            self._writer.add_pr_curve(
                f"precision_recall/{mood}", labels == index, probabilities[:, index], at
            )

    def wrong_song(self, rank: int, text: str, waveform: Tensor, sample_rate: int, at: int) -> None:
        """A confidently wrong song to listen to, `(time,)` in [-1, 1], with what was said of it."""
        tag = f"confidently_wrong/{rank}"
        self._writer.add_audio(tag, waveform[None], at, sample_rate)
        self._writer.add_text(tag, text, at)

    def explanation(self, rank: int, figure: Figure, at: int) -> None:
        """Why a confidently wrong song was taken for what it is not."""
        self._writer.add_figure(f"explanations/{rank}", legible(figure), at)

    def embedding(self, vectors: Tensor, rows: Sequence[Sequence[str]], at: int) -> None:
        """The embedding projector: `(track, dim)`, and each track's mood, prediction and name."""
        self._writer.add_embedding(
            vectors, [*map(list, rows)], global_step=at, tag="songs",
            metadata_header=["mood", "predicted", "part", "name"],
        )  # fmt: skip

    def hyperparameters(self, settings: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """The hparams tab, in this run's own file: `add_hparams` would make a second run of it."""
        plain = {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in settings.items()
        }
        tagged = {f"hparam/{name}": value for name, value in metrics.items()}
        for summary in hparams(plain, tagged):
            self._writer.file_writer.add_summary(summary)
        for tag, value in tagged.items():
            self._writer.add_scalar(tag, value, 0)

    def flush(self) -> None:
        """Hands everything to the disk."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def as_audio(waveform: Tensor) -> Tensor:
    """int16 `(time,)` -> float32 in [-1, 1)."""
    return waveform.float() / 32768
