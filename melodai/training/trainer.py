"""The trainer: one for every architecture.

Exactness: everything random in a step (songs, starts, augmentation, dropout) follows from
(seed, epoch, step), so that a run that was killed and resumed ends in the same weights as one that
was not, and two processes see the batches that one would.
"""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from melodai.checkpoint import BEST, LAST, model_state, save_checkpoint
from melodai.config import Config
from melodai.data.corpus import Corpus
from melodai.data.loader import Batch, TrainingBatches, batch_seed
from melodai.data.segments import samples_of
from melodai.data.splits import Split
from melodai.data.waveforms import open_waveforms
from melodai.errors import NonFiniteLossError
from melodai.inference import (
    SongOutputs,
    gather_rows,
    infer_songs,
    network_precision,
    to_float,
)
from melodai.interrupt import Interrupted, Wish
from melodai.metrics import MoodMetrics, MoodScores, pool_by_track, scores_of_confusion
from melodai.models import MoodModel
from melodai.models.registry import mode_of
from melodai.training.augmentation import (
    augment_for,
    augmented_image,
    pictures_of,
    settings_for,
)
from melodai.training.average import WeightAverage
from melodai.training.distributed import Ranks, average_gradients, synchronise_batch_norm
from melodai.training.finetune import FineTuning
from melodai.training.history import epoch_row, write_history
from melodai.training.logger import RunLogger
from melodai.training.loss import balanced_class_weights, mood_loss, one_hot
from melodai.training.monitor import EpochReport, Monitor
from melodai.training.progress import Progress
from melodai.training.schedule import make_optimizer, make_schedule

# On a GPU the loss is looked at every so many steps: each look waits for the device.
STEPS_BETWEEN_LOOKS = 20
PICTURES_IN_GRID = 12


class Trainer:
    """Trains a model on the training part of a corpus, validating on songs after each epoch.

    Args:
        model: the model, on the CPU.
        arch: its name in the registry.
        corpus, split: decoded songs, and which are for what.
        device: where to compute.
        ranks: this process among those that share each batch.
        run: the run folder, which exists.
        wish: asks the trainer to save and stop.
    """

    def __init__(
        self,
        *,
        model: MoodModel,
        arch: str,
        config: Config,
        corpus: Corpus,
        split: Split,
        device: torch.device,
        ranks: Ranks,
        run: Path,
        monitor: Monitor,
        wish: Wish,
    ) -> None:
        self.arch, self.config, self.run, self.device = arch, config, run, device
        self.ranks, self.monitor, self.wish = ranks, monitor, wish
        self.corpus, self.split = corpus, split
        settings = config.training

        self.labels = torch.tensor(corpus.classes)
        self.targets = one_hot(self.labels, len(model.moods))
        if config.data.soft_labels:
            self.targets = torch.tensor([track.scores for track in corpus.tracks]).float()
        self.class_weights = torch.ones(len(model.moods))
        if settings.class_weights:
            self.class_weights = balanced_class_weights(
                self.labels[list(split.train)].tolist(), len(model.moods)
            )

        self.model = model.to(device)
        if ranks.world_size > 1:
            self.model.encoder = synchronise_batch_norm(self.model.encoder)
        self.model.encoder.to(memory_format=torch.channels_last)
        self.network: nn.Module = self.model.encoder
        if config.run.compile:
            self.network = torch.compile(self.model.encoder)
        self.augment = augment_for(model, config)
        longest = self.segment_samples
        if longest is not None:
            longest = round(longest * (1 + settings_for(model, config).tempo)) + 1
        self.waveforms = open_waveforms(corpus.entries, device, longest_window=longest)
        self.batches = self._make_batches()
        self.finetuning = None
        if mode_of(config.model.mode, arch) == "finetune":
            self.finetuning = FineTuning(self.model.encoder, settings)
        self.optimizer = make_optimizer(self.model.encoder, settings, self.finetuning)
        self.schedule = make_schedule(self.optimizer, settings)
        self.average = (
            WeightAverage(self.model.encoder, settings.ema_decay) if settings.ema_decay else None
        )

        self.progress = Progress()
        self.metrics = MoodMetrics(len(model.moods), device)
        self.unlooked: deque[tuple[int, Tensor, Tensor]] = deque()

    # -- the run ---------------------------------------------------------------------------------

    def fit(self, logger: RunLogger | None) -> None:
        """Trains until the last epoch or until validation has not improved for long enough.

        Raises:
            NonFiniteLossError: the loss is not a number; the weights of that step were not changed.
            Interrupted: stopped by a signal, after saving.
        """
        settings = self.config.training
        self.save_last()
        self.monitor.start(self.progress.epoch, settings.epochs, self.steps_per_epoch)
        while self.progress.epoch <= settings.epochs and not self.has_stalled:
            began = time.perf_counter()
            train, waiting = self.train_epoch(logger)
            trained_seconds = time.perf_counter() - began
            validation = self.validate()
            self.finish_epoch(logger, train, validation, trained_seconds, waiting, began)

    @property
    def has_stalled(self) -> bool:
        """Whether validation accuracy has not risen for `--early-stopping` epochs."""
        patience = self.config.training.early_stopping
        return patience > 0 and self.progress.best.stale_epochs >= patience

    @property
    def steps_per_epoch(self) -> int:
        """Global batches an epoch; the last is filled up."""
        return self.batches.steps_per_epoch

    @property
    def segment_samples(self) -> int | None:
        """Length of a segment; None for whole songs."""
        return samples_of(self.config.data.segment_seconds, self.model.sample_rate)

    def train_epoch(self, logger: RunLogger | None) -> tuple[MoodScores, float]:
        """The rest of the present epoch; returns its scores and the seconds spent waiting."""
        progress = self.progress
        self.model.encoder.train()
        if self.finetuning is not None:
            self.finetuning.begin_epoch(progress.epoch)
        self.batches.seconds_waiting = 0.0
        with closing(self.batches.epoch(progress.epoch, progress.step)) as batches:
            for batch in batches:
                if logger is not None and progress.step == 0:
                    self.show_augmented(logger, batch)
                self.train_step(batch)
                progress.step += 1
                self.look(progress.step == self.steps_per_epoch)
                if self.wish.signal_number is not None and self.ranks.world_size == 1:
                    self.save_last()
                    raise Interrupted(self.wish.signal_number)
        self.metrics.all_reduce()
        return self.metrics.compute(), self.batches.seconds_waiting

    def train_step(self, batch: Batch) -> None:
        """From songs to changed weights."""
        progress, draw = self.progress, batch.draw.to(self.device)
        torch.manual_seed(batch_seed(self.config.training.seed, progress.epoch, progress.step))
        self.schedule.before_step(progress.epoch - 1 + progress.step / self.steps_per_epoch)

        features = self.augmented_features(batch, draw)
        targets = self.targets[batch.track].to(self.device, non_blocking=True)
        features, targets = self.augment.mixup(features, targets, draw)
        with network_precision(self.device, self.config.run.precision):
            logits = self.network(features)
        losses = mood_loss(
            logits, targets, self.class_weights.to(self.device),
            self.config.training.label_smoothing,
        )  # fmt: skip

        self.optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        average_gradients(self.model.encoder)
        clip = self.config.training.gradient_clip or float("inf")
        norm = nn.utils.clip_grad_norm_(self.model.encoder.parameters(), clip)
        # The fused optimizers leave the weights as they are where found_inf is 1: no step is taken
        # on a gradient that is not a number, and the device need not be waited for to know.
        self.optimizer.found_inf = (~norm.isfinite()).float()
        self.optimizer.step()

        if self.average is not None:
            self.average.update(self.model.encoder)
        self.metrics.update(logits.detach(), targets, losses.detach().sum())
        self.unlooked.append((progress.step, norm.detach(), batch.track))

    def augmented_features(self, batch: Batch, draw: Any) -> Tensor:
        """Augmented waveforms, log-mels, augmented pictures: `(batch, 1, height, width)`."""
        num_samples = batch.num_samples.to(self.device)
        with torch.no_grad():
            waveform = self.augment.waveform(
                to_float(batch.waveform, self.device), num_samples, draw
            )
            features = self.model.frontend(waveform, num_samples, draw)
            return augmented_image(self.augment, self.model.frontend, features, draw)

    def look(self, is_last: bool) -> None:
        """Reads what the last steps gave, and stops the run if a gradient was not a number."""
        if self.device.type != "cpu" and len(self.unlooked) < STEPS_BETWEEN_LOOKS and not is_last:
            return
        for step, norm, tracks in self.unlooked:
            if not norm.isfinite():
                raise NonFiniteLossError(
                    f"the loss is not a finite number at epoch {self.progress.epoch}, step "
                    f"{step + 1}; that step was not taken. Its songs: {self.names(tracks)}. Try a "
                    "lower --learning-rate, or leave out a damaged song"
                )
            self.progress.gradient_norms += norm.item()
        self.unlooked.clear()
        scores = self.metrics.compute()
        self.monitor.step(self.progress.step, scores.loss, scores.accuracy)

    def names(self, tracks: Tensor) -> str:
        """The songs, sorted, each once."""
        return ", ".join(sorted({self.corpus.tracks[index].name for index in tracks.tolist()}))

    # -- validation ------------------------------------------------------------------------------

    @property
    def evaluated_network(self) -> MoodModel:
        """The model with the averaged weights, where they are kept, else the model itself."""
        if self.average is None:
            return self.model
        return MoodModel(
            frontend=self.model.frontend,
            encoder=self.average.network,
            moods=self.model.moods,
            sample_rate=self.model.sample_rate,
        )

    def validate(self) -> MoodScores:
        """Scores of the validation songs, each the mean over its windows."""
        return self.scores_of(self.song_probabilities(self.split.validation), self.split.validation)

    def song_probabilities(self, tracks: Sequence[int]) -> np.ndarray:
        """`(track, class)`, in the order of `tracks`, computed by all processes together."""
        own = torch.arange(self.ranks.rank, len(tracks), self.ranks.world_size)
        outputs = self.song_outputs(self.evaluated_network, [tracks[i] for i in own])
        probabilities = pool_by_track(outputs.probabilities(), outputs.places, len(own))
        return gather_rows(torch.from_numpy(probabilities), own, len(tracks)).numpy()

    def song_outputs(self, model: MoodModel, tracks: Sequence[int]) -> SongOutputs:
        """What the model says of each window of the songs."""
        return infer_songs(
            model, self.waveforms, tracks, segment_samples=self.segment_samples,
            batch_size=self.config.training.batch_size, device=self.device,
        )  # fmt: skip

    def scores_of(self, probabilities: np.ndarray, tracks: Sequence[int]) -> MoodScores:
        """Scores of songs, with the loss that training uses."""
        rows = torch.tensor(list(tracks))
        log_probabilities = torch.from_numpy(probabilities).clamp_min(1e-12).log().float()
        losses = mood_loss(
            log_probabilities, self.targets[rows], self.class_weights,
            self.config.training.label_smoothing,
        )  # fmt: skip
        num_moods = len(self.model.moods)
        confusion = np.zeros((num_moods, num_moods), np.int64)
        np.add.at(confusion, (self.labels[rows].numpy(), probabilities.argmax(1)), 1)
        return scores_of_confusion(confusion, losses.mean().item())

    # -- between epochs --------------------------------------------------------------------------

    def finish_epoch(
        self,
        logger: RunLogger | None,
        train: MoodScores,
        validation: MoodScores,
        trained_seconds: float,
        waiting: float,
        began: float,
    ) -> None:
        """Schedule, history, logs and checkpoints."""
        progress, steps = self.progress, self.steps_per_epoch
        is_best = progress.best.update(progress.epoch, validation.accuracy, validation.loss)
        self.schedule.after_epoch(validation.loss)
        report = EpochReport(
            epoch=progress.epoch,
            train=train,
            validation=validation,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            gradient_norm=progress.gradient_norms / steps,
            seconds=time.perf_counter() - began,
            segments_per_second=train.num_examples / trained_seconds,
            waiting_seconds=waiting,
            is_best=is_best,
        )
        progress.history.append(epoch_row(report, self.model.moods))
        progress.seconds += report.seconds
        progress.epoch, progress.step, progress.gradient_norms = progress.epoch + 1, 0, 0.0
        self.metrics.reset()
        if self.ranks.is_first:
            if is_best:
                self.save_best(validation)
            write_history(self.run / "history.csv", progress.history)
        self.save_last()
        if logger is not None:
            logger.epoch(report)
        self.monitor.epoch(report)

    def show_augmented(self, logger: RunLogger, batch: Batch) -> None:
        """A grid of pictures as the network sees them, after 0, 1, 2, 4, 8, … epochs."""
        epochs_done = self.progress.epoch - 1
        if epochs_done & (epochs_done - 1):
            return
        features = self.augmented_features(batch, batch.draw.to(self.device))
        shown = pictures_of(self.model.frontend, features)
        if shown is None:
            return
        shown = shown[:PICTURES_IN_GRID]
        moods = [self.corpus.tracks[index].mood for index in batch.track.tolist()]
        seconds = None
        if not self.corpus.holds_pictures:
            seconds = batch.num_samples.float().mean().item() / self.model.sample_rate
        logger.augmented(shown, moods[:PICTURES_IN_GRID], seconds, self.progress.epoch)

    # -- checkpoints -----------------------------------------------------------------------------

    def save_best(self, validation: MoodScores) -> None:
        """The model alone, small enough to give away."""
        scores = {"accuracy": validation.accuracy, "macro_f1": validation.macro_f1}
        state = model_state(self.evaluated_network, self.arch, self.config)
        save_checkpoint(
            self.run / BEST, {**state, "epoch": self.progress.best.epoch, "validation": scores}
        )

    def save_last(self) -> None:
        """Everything needed to go on exactly."""
        if not self.ranks.is_first:
            return
        progress = self.progress
        save_checkpoint(
            self.run / LAST,
            {
                **model_state(self.model, self.arch, self.config),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "average": self.average.state_dict() if self.average else None,
                "metrics": self.metrics.state(),
                "progress": progress.state_dict(),
            },
        )

    def load_last(self, state: dict[str, Any]) -> None:
        """Takes up where `save_last` left off."""
        self.model.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.metrics.load(state["metrics"])
        self.progress = Progress.of(state["progress"])

    def _make_batches(self) -> TrainingBatches:
        settings = self.config.training
        return TrainingBatches(
            self.waveforms, self.split.train, segment_samples=self.segment_samples,
            batch_size=settings.batch_size, segments_per_track=settings.segments_per_track,
            seed=settings.seed, rank=self.ranks.rank, world_size=self.ranks.world_size,
            draw=lambda generator: self.augment.draw(settings.batch_size, generator),
        )  # fmt: skip
