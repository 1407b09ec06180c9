"""The trainer: one for every architecture.

Exactness: everything random in a step (songs, starts, augmentation, dropout) follows from
(seed, epoch, step), so that a run that was killed and resumed ends in the same weights as one that
was not.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
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
from melodai.environment import to_device
from melodai.errors import NonFiniteLossError
from melodai.inference import (
    SongOutputs,
    gather_rows,
    infer_songs,
    network_precision,
    to_float,
)
from melodai.interrupt import Interrupted, Wish, graceful_interrupt
from melodai.metrics import MoodMetrics, MoodScores, pool_by_track
from melodai.models import MoodModel
from melodai.models.registry import mode_of
from melodai.training.augmentation import augment_for, augmented_image, settings_for
from melodai.training.average import WeightAverage
from melodai.training.distributed import Ranks
from melodai.training.finetune import FineTuning
from melodai.training.history import epoch_row, write_history
from melodai.training.logger import RunLogger
from melodai.training.monitor import EpochReport, Monitor
from melodai.training.progress import Progress
from melodai.training.schedule import make_optimizer, make_schedule
from melodai.training.summary import log_augmented
from melodai.training.targets import Targets

# On a GPU the loss is looked at every so many steps: each look waits for the device.
STEPS_BETWEEN_LOOKS = 20


class Trainer:
    """Trains a model on the training part of a corpus, validating on songs after each epoch.

    Args:
        model: the model, on the CPU.
        arch: its name in the registry.
        corpus, split: decoded songs, and which are for what.
        device: where to compute.
        ranks: this process among those that share each batch.
        run: the run folder, which exists.
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
    ) -> None:
        self.arch, self.config, self.run, self.device = arch, config, run, device
        self.corpus, self.split = corpus, split
        self.ranks, self.monitor = ranks, monitor
        settings = config.training

        self.targets = Targets(corpus, split, config, device)
        self.model = model.to(device)
        encoder = ranks.with_synchronous_batch_norm(model.encoder, device)
        self.model.encoder = encoder.to(memory_format=torch.channels_last)
        self.augment = augment_for(model, config)
        longest = self.segment_samples
        if longest is not None:
            longest = round(longest * (1 + settings_for(model, config).tempo)) + 1
        self.waveforms = open_waveforms(corpus.entries, device, longest_window=longest)
        self.batches = self._make_batches()
        self.finetuning = None
        is_pretrained = getattr(model.encoder, "is_pretrained", False)
        if mode_of(config.model.mode, arch, is_pretrained=is_pretrained) == "finetune":
            self.finetuning = FineTuning(self.model.encoder, settings)
        # Fine-tuning freezes some of the weights, epoch by epoch.
        self.network = ranks.wrap(self.model.encoder, some_are_frozen=self.finetuning is not None)
        if config.run.compile:
            self.network = torch.compile(self.network)
        self.optimizer = make_optimizer(self.model.encoder, settings, self.finetuning)
        self.schedule = make_schedule(self.optimizer, settings)
        self.average = (
            WeightAverage(self.model.encoder, settings.ema_decay) if settings.ema_decay else None
        )
        self.progress = Progress()
        self.metrics = MoodMetrics(len(model.moods), device)
        self.unlooked: deque[tuple[int, Tensor, Tensor]] = deque()

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

    # -- the run ---------------------------------------------------------------------------------

    def fit(self, logger: RunLogger | None) -> None:
        """Trains until the last epoch or until validation has not improved for long enough.

        Raises:
            NonFiniteLossError: the loss is not a number; the weights of that step were not changed.
            Interrupted: stopped by a signal, after saving.
        """
        epochs = self.config.training.epochs
        self.save_last()
        self.monitor.start(self.progress.epoch, epochs, self.steps_per_epoch)
        with graceful_interrupt() as wish:
            try:
                while self.progress.epoch <= epochs and not self.has_stalled:
                    began = time.perf_counter()
                    train, trained_seconds = self.train_epoch(logger, wish)
                    validation = self.validate(wish.check)
                    report = self.finish_epoch(train, validation, trained_seconds, began)
                    self.tell(report, logger)
            except Interrupted:
                self.save_last()
                raise
            except RuntimeError:
                wish.check()  # the others have got the signal a moment before
                raise

    def train_epoch(self, logger: RunLogger | None, wish: Wish) -> tuple[MoodScores, float]:
        """The rest of the present epoch; returns its scores and how many seconds it took."""
        progress, began = self.progress, time.perf_counter()
        self.model.encoder.train()
        if self.finetuning is not None:
            self.finetuning.begin_epoch(progress.epoch)
        self.batches.seconds_waiting = 0.0
        with closing(self.batches.epoch(progress.epoch, progress.step)) as batches:
            for batch in batches:
                features = self.train_step(batch)
                if logger is not None and progress.step == 0:
                    log_augmented(self, logger, batch, features)
                progress.step += 1
                signal_number = self.ranks.agreed(wish.signal_number)
                self.look(signal_number is not None or progress.step == self.steps_per_epoch)
                if signal_number is not None:
                    self.metrics.all_reduce()
                    raise Interrupted(signal_number)
        self.metrics.all_reduce()
        self.ranks.share_buffers(self.evaluated_network.encoder)
        return self.metrics.compute(), time.perf_counter() - began

    def train_step(self, batch: Batch) -> Tensor:
        """From songs to changed weights; returns what the network saw."""
        self.begin_step()
        features, targets = self.examples(batch)
        with network_precision(self.device, self.config.run.precision):
            logits = self.network(features)
        losses = self.targets.losses(logits, targets, to_device(batch.track, self.device))
        norm = self.backward(losses.mean())
        self.change_weights(norm)
        self.metrics.update(logits.detach(), targets, losses.detach().sum())
        self.unlooked.append((self.progress.step, norm, batch.track))
        return features

    def begin_step(self) -> None:
        """Seeds what is random on the device, and sets the learning rate."""
        progress = self.progress
        seed = batch_seed(self.config.training.seed, progress.epoch, progress.step)
        torch.manual_seed(seed + self.ranks.rank)
        self.schedule.before_step(progress.epoch - 1 + progress.step / self.steps_per_epoch)

    @torch.no_grad()
    def examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Augmented log-mels `(batch, 1, height, width)` and shares of the moods."""
        draw, num_samples = batch.draw.to(self.device), to_device(batch.num_samples, self.device)
        waveform = to_float(batch.waveform, self.device)
        waveform = self.augment.waveform(waveform, num_samples, draw)
        features = self.model.frontend(waveform, num_samples, draw)
        features = augmented_image(self.augment, self.model.frontend, features, draw)
        targets = self.targets.of(to_device(batch.track, self.device))
        return self.augment.mixup(features, targets, draw)

    def backward(self, loss: Tensor) -> Tensor:
        """Clipped gradients; their norm before clipping, on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip = self.config.training.gradient_clip or float("inf")
        return nn.utils.clip_grad_norm_(self.model.encoder.parameters(), clip).detach()

    def change_weights(self, norm: Tensor) -> None:
        """A step of the optimizer, if the gradients are numbers."""
        # The fused optimizers leave the weights as they are where found_inf is 1: no step is taken
        # on a gradient that is not a number, and the device need not be waited for to know.
        self.optimizer.found_inf = (~norm.isfinite()).float()
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model.encoder)

    def look(self, is_needed: bool) -> None:
        """Reads what the last steps gave, and stops the run if a gradient was not a number."""
        if self.device.type != "cpu" and len(self.unlooked) < STEPS_BETWEEN_LOOKS and not is_needed:
            return
        for step, norm, tracks in self.unlooked:
            if not norm.isfinite():
                names = sorted({self.corpus.tracks[index].name for index in tracks.tolist()})
                raise NonFiniteLossError(
                    f"the loss is not a finite number at epoch {self.progress.epoch}, step "
                    f"{step + 1}; that step was not taken. Its songs: {', '.join(names)}. Try a "
                    "lower --learning-rate, or leave out a damaged song"
                )
            self.progress.gradient_norms += norm.item()
        self.unlooked.clear()
        scores = self.metrics.compute()
        self.monitor.step(self.progress.step, scores.loss, scores.accuracy)

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

    def validate(self, on_batch: Callable[[], None] = lambda: None) -> MoodScores:
        """Scores of the validation songs, each the mean over its windows."""
        tracks = self.split.validation
        return self.targets.scores(self.song_probabilities(tracks, on_batch), tracks)

    def song_probabilities(
        self, tracks: Sequence[int], on_batch: Callable[[], None] = lambda: None
    ) -> np.ndarray:
        """`(track, class)`, in the order of `tracks`, computed by all processes together."""
        own = torch.arange(self.ranks.rank, len(tracks), self.ranks.world_size)
        outputs = self.song_outputs(self.evaluated_network, [tracks[i] for i in own], on_batch)
        probabilities = pool_by_track(outputs.probabilities(), outputs.places, len(own))
        return gather_rows(torch.from_numpy(probabilities), own, len(tracks)).numpy()

    def song_outputs(
        self,
        model: MoodModel,
        tracks: Sequence[int],
        on_batch: Callable[[], None] = lambda: None,
    ) -> SongOutputs:
        """What the model says of each window of the songs."""
        return infer_songs(
            model, self.waveforms, tracks, segment_samples=self.segment_samples,
            batch_size=self.config.training.batch_size, device=self.device, on_batch=on_batch,
        )  # fmt: skip

    # -- between epochs --------------------------------------------------------------------------

    def finish_epoch(
        self, train: MoodScores, validation: MoodScores, trained_seconds: float, began: float
    ) -> EpochReport:
        """Schedule, history and checkpoints."""
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
            waiting_seconds=self.batches.seconds_waiting,
            is_best=is_best,
        )
        progress.history.append(epoch_row(report, self.model.moods))
        progress.seconds += report.seconds
        progress.epoch, progress.step, progress.gradient_norms = progress.epoch + 1, 0, 0.0
        self.metrics.reset()
        if is_best:
            self.save_best(validation)
        self.save_last()
        return report

    def tell(self, report: EpochReport, logger: RunLogger | None) -> None:
        """Tells everyone who watches of a finished epoch."""
        if self.ranks.is_first:
            write_history(self.run / "history.csv", self.progress.history)
        if logger is not None:
            logger.epoch(report)
        self.monitor.epoch(report)

    # -- checkpoints -----------------------------------------------------------------------------

    def save_best(self, validation: MoodScores) -> None:
        """The model alone, small enough to give away."""
        if not self.ranks.is_first:
            return
        scores = {"accuracy": validation.accuracy, "macro_f1": validation.macro_f1}
        state = model_state(self.evaluated_network, self.arch, self.config)
        save_checkpoint(
            self.run / BEST, {**state, "epoch": self.progress.best.epoch, "validation": scores}
        )

    def save_last(self) -> None:
        """Everything needed to go on exactly."""
        if not self.ranks.is_first:
            return
        save_checkpoint(
            self.run / LAST,
            {
                **model_state(self.model, self.arch, self.config),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "average": self.average.state_dict() if self.average else None,
                "metrics": self.metrics.state(),
                "progress": self.progress.state_dict(),
            },
        )

    def load_last(self, state: dict[str, Any]) -> None:
        """Takes up where `save_last` left off."""
        self.model.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.ranks.is_first:  # whose counts were those of all
            self.metrics.load(state["metrics"])
        self.progress = Progress.of(state["progress"])

    def _make_batches(self) -> TrainingBatches:
        settings = self.config.training
        enough = -(-settings.segments_per_epoch // len(self.split.train))
        return TrainingBatches(
            self.waveforms, self.split.train, segment_samples=self.segment_samples,
            batch_size=settings.batch_size,
            segments_per_track=max(enough, settings.segments_per_track),
            seed=settings.seed, rank=self.ranks.rank, world_size=self.ranks.world_size,
            draw=lambda generator: self.augment.draw(settings.batch_size, generator),
        )  # fmt: skip
