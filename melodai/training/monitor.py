"""What a training run tells whoever watches it."""

import logging
from dataclasses import dataclass

from melodai.metrics import MoodScores

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """One finished epoch.

    Attributes:
        epoch: counted from 1.
        train, validation: scores; training counts augmented segments, validation counts songs.
        learning_rate: at the end of the epoch.
        gradient_norm: mean over the steps, before clipping.
        seconds: the whole epoch, validation included.
        segments_per_second: while training.
        waiting_seconds: time the network stood still for want of data.
        is_best: whether this is the best epoch so far.
    """

    epoch: int
    train: MoodScores
    validation: MoodScores
    learning_rate: float
    gradient_norm: float
    seconds: float
    segments_per_second: float
    waiting_seconds: float
    is_best: bool


class Monitor:
    """Reports to the log; a subclass shows it otherwise. Every method may be overridden alone."""

    def message(self, text: str) -> None:
        """A sentence of general interest."""
        logger.info(text)

    def warning(self, text: str) -> None:
        """Something the user should look into."""
        logger.warning(text)

    def decoding(self, done: int, total: int) -> None:
        """So many of the files have been looked at."""

    def embedding(self, done: int, total: int) -> None:
        """So many of the songs have gone through a frozen network."""

    def working(self, what: str, done: int, total: int, state: str = "") -> None:
        """So much of one piece of work is done; the state says how it goes."""

    def start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Training begins: epochs counted from 1, steps an epoch."""

    def step(self, step: int, loss: float, accuracy: float) -> None:
        """A step of the present epoch is done; loss and accuracy are means of the epoch so far."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is done."""
        logger.info(
            "epoch %d: training loss %.4f, validation loss %.4f, accuracy %.3f, macro-F1 %.3f",
            report.epoch, report.train.loss, report.validation.loss,
            report.validation.accuracy, report.validation.macro_f1,
        )  # fmt: skip

    def finish(self) -> None:
        """Training is over, for whatever reason."""
