"""Several processes that together compute what one would, started by `torchrun`.

Each process takes its rows of the same global batch. Batch norm sees the statistics of the whole
batch, dropout draws the whole batch's mask (`models.blocks.Dropout`), gradients are averaged.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from melodai.errors import RankFailedError, SettingError


@dataclass(frozen=True)
class Ranks:
    """This process among all: `rank` of `world_size`."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the logs and checkpoints."""
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """This process' rows of a global batch."""
        each = batch_size // self.world_size
        return slice(self.rank * each, (self.rank + 1) * each)


def launched_by_torchrun() -> bool:
    """Whether the environment names a rank and a world of more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


@contextmanager
def process_group(device: torch.device, batch_size: int) -> Iterator[Ranks]:
    """Joins the other processes, if torchrun started any, and leaves them at the end.

    Raises:
        SettingError: the batch cannot be divided evenly among the processes.
        RankFailedError: another process died or left while this one was waiting for it.
    """
    if not launched_by_torchrun():
        yield Ranks()
        return
    world_size = int(os.environ["WORLD_SIZE"])
    if batch_size % world_size:
        raise SettingError(
            f"--batch-size {batch_size} cannot be shared by {world_size} processes; "
            f"choose a multiple of {world_size}"
        )
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), world_size)
    except (dist.DistError, RuntimeError) as error:
        if not _is_lost_connection(error):
            raise
        raise RankFailedError(
            "another process of this run has died; its message says why"
        ) from error
    finally:
        dist.destroy_process_group()


def _is_lost_connection(error: Exception) -> bool:
    words = ("connection", "closed by peer", "gloo", "nccl", "timed out", "broken pipe", "socket")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)


class SynchronisedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the global batch, on CPU as well as on GPU (torch's own is for GPUs only).

    Equal shares are assumed: every process has as many examples as the others.

    Shape: `(batch, channel, ...)` -> the same.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (batch, channel, ...), got {input.dim()} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(input)
        x = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        axes = [axis for axis in range(x.dim()) if axis != 1]
        world_size = dist.get_world_size()
        count = world_size * x.numel() // x.shape[1]
        mean = all_reduce(x.mean(axes)) / world_size
        shape = [1, -1] + [1] * (x.dim() - 2)
        # Centred before squaring: E[x²] − E[x]² would lose digits where the mean is large.
        centred = x - mean.view(shape)
        variance = all_reduce(centred.square().mean(axes)) / world_size
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        scale = (self.weight * torch.rsqrt(variance + self.eps)).view(shape)
        return (centred * scale + self.bias.view(shape)).to(input.dtype)


def synchronise_batch_norm(module: nn.Module) -> nn.Module:
    """The network with every batch norm replaced by one over the global batch; same state dict."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
        synchronised = SynchronisedBatchNorm(
            module.num_features, module.eps, module.momentum, True, module.track_running_stats
        )
        synchronised.load_state_dict(module.state_dict())
        return synchronised.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, synchronise_batch_norm(child))
    return module


def average_gradients(network: nn.Module) -> None:
    """Averages the gradients over the processes, in one message.

    The networks here are a few megabytes, so that overlapping the exchange with the backward
    pass, as DistributedDataParallel does, would save next to nothing, and wraps the network.
    """
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
