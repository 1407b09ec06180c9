"""The optimizer, its learning rate over the epochs, and when to stop."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from melodai.config import TrainingConfig
from melodai.training.finetune import FineTuning

PLATEAU_FACTOR = 0.5
# Adam at 1e-3 halved ten times; below this nothing moves any more.
SMALLEST_RATE_SHARE = 1e-3


def make_optimizer(
    network: nn.Module, settings: TrainingConfig, finetuning: FineTuning | None = None
) -> Optimizer:
    """Fused, so that a step can be left out on the device (see `Trainer.train_step`)."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    weights: list = [weight for weight in network.parameters() if weight.requires_grad]
    if finetuning is not None:
        weights = [
            {**group, "lr": group["share"] * settings.learning_rate}
            for group in finetuning.parameter_groups()
        ]
    return kinds[settings.optimizer](
        weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


class PlateauSchedule:
    """Halves the rate when the validation loss has not fallen for `patience` epochs."""

    def __init__(self, optimizer: Optimizer, learning_rate: float, patience: int) -> None:
        self._plateau = ReduceLROnPlateau(
            optimizer, factor=PLATEAU_FACTOR, patience=patience,
            min_lr=[
                learning_rate * SMALLEST_RATE_SHARE * group.get("share", 1.0)
                for group in optimizer.param_groups
            ],
        )  # fmt: skip

    def before_step(self, progress_epochs: float) -> None:
        """Nothing: the rate changes between epochs only."""

    def after_epoch(self, validation_loss: float) -> None:
        self._plateau.step(validation_loss)

    def state_dict(self) -> dict:
        return {
            key: value
            for key, value in self._plateau.state_dict().items()
            if isinstance(value, int | float | str | bool | list) or value is None
        }

    def load_state_dict(self, state: dict) -> None:
        self._plateau.load_state_dict(state)


class CosineSchedule:
    """Linear warm-up over `warmup` epochs, then half a cosine down to zero at the last epoch."""

    def __init__(
        self, optimizer: Optimizer, learning_rate: float, warmup: int, epochs: int
    ) -> None:
        self._optimizer = optimizer
        self._peak, self._warmup, self._epochs = learning_rate, min(warmup, epochs - 1), epochs

    def rate_at(self, progress_epochs: float) -> float:
        """The rate after so many epochs, fractions included."""
        if progress_epochs < self._warmup:
            return self._peak * progress_epochs / self._warmup
        done = (progress_epochs - self._warmup) / (self._epochs - self._warmup)
        return self._peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def before_step(self, progress_epochs: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate_at(progress_epochs) * group.get("share", 1.0)

    def after_epoch(self, validation_loss: float) -> None:
        """Nothing: the rate depends on the epoch alone."""

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Nothing to load."""


def make_schedule(
    optimizer: Optimizer, settings: TrainingConfig
) -> PlateauSchedule | CosineSchedule:
    """The schedule that the settings name."""
    rate = settings.learning_rate
    if settings.schedule == "plateau":
        return PlateauSchedule(optimizer, rate, settings.plateau_patience)
    return CosineSchedule(optimizer, rate, settings.warmup_epochs, settings.epochs)


@dataclass
class Best:
    """The best epoch so far, by validation accuracy, equal ones by validation loss.

    Attributes:
        epoch: counted from 1; 0 before the first.
        stale_epochs: epochs since the accuracy last rose.
    """

    epoch: int = 0
    accuracy: float = -1.0
    loss: float = math.inf
    stale_epochs: int = 0

    def update(self, epoch: int, accuracy: float, loss: float) -> bool:
        """Takes the epoch into account; returns whether it is the best so far."""
        is_best = (accuracy, -loss) > (self.accuracy, -self.loss)
        self.stale_epochs = 0 if accuracy > self.accuracy else self.stale_epochs + 1
        if is_best:
            self.epoch, self.accuracy, self.loss = epoch, accuracy, loss
        return is_best
