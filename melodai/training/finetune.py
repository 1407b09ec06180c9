"""Gentle training of a pretrained network: deeper layers learn more slowly, and later.

The network is cut into a few stages. From the last to the first their learning rates fall
geometrically to `--backbone-rate` times the head's, and every `--unfreeze-epochs` epochs one more
of them begins to learn. Their batch norms keep the published statistics, their dropout is off.
Source: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018,
section 3.
"""

import itertools
from collections.abc import Iterable

from torch import nn

from melodai.config import TrainingConfig
from melodai.errors import SettingError
from melodai.models.base import Encoder

MAX_STAGES = 4


class FineTuning:
    """Which weights learn, and how fast.

    What is frozen depends on the epoch alone, so that a resumed run goes on exactly.

    Raises:
        SettingError: the network has no pretrained parts.
    """

    def __init__(self, encoder: Encoder, settings: TrainingConfig) -> None:
        parts = encoder.pretrained_parts()
        if not parts:
            raise SettingError("--mode finetune: the network has no pretrained layers")
        self._encoder, self._epochs_a_stage = encoder, settings.unfreeze_epochs
        count = min(MAX_STAGES, len(parts))
        bounds = [round(i * len(parts) / count) for i in range(count + 1)]
        self._stages = [parts[a:b] for a, b in itertools.pairwise(bounds)]
        self._backbone_rate = settings.backbone_rate

    @property
    def num_stages(self) -> int:
        return len(self._stages)

    def parameter_groups(self) -> list[dict]:
        """For an optimizer; `share` is of the head's learning rate. The head comes first."""
        staged = {id(weight) for stage in self._stages for weight in weights_of(stage)}
        head = [w for w in self._encoder.parameters() if id(w) not in staged]
        groups = [{"params": head, "share": 1.0}]
        for number, stage in enumerate(self._stages):
            depth = (self.num_stages - number) / self.num_stages
            share = self._backbone_rate**depth if self._backbone_rate else 0.0
            groups.append({"params": weights_of(stage), "share": share})
        return groups

    def num_learning(self, epoch: int) -> int:
        """Stages that learn in an epoch, counted from 1; the last ones."""
        if not self._backbone_rate:
            return 0
        if not self._epochs_a_stage:
            return self.num_stages
        return min(self.num_stages, (epoch - 1) // self._epochs_a_stage)

    def begin_epoch(self, epoch: int) -> None:
        """Freezes and unfreezes; after `encoder.train()`."""
        first = self.num_stages - self.num_learning(epoch)
        for number, stage in enumerate(self._stages):
            for part in stage:
                part.eval()
            for weight in weights_of(stage):
                weight.requires_grad_(number >= first)


def weights_of(parts: Iterable[nn.Module]) -> list[nn.Parameter]:
    """All weights of some modules."""
    return [weight for part in parts for weight in part.parameters()]
