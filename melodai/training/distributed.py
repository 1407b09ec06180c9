"""Several processes that share each batch, started by `torchrun`; on GPUs one process a GPU."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from melodai.errors import RankFailedError, SettingError

Value = TypeVar("Value")

# All wait for the first process to decode the songs, however many there are.
PATIENCE = timedelta(days=7)
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Ranks:
    """This process among all: `rank` of `world_size`.

    Attributes:
        patient: the group in which to wait for a long time.
    """

    rank: int = 0
    world_size: int = 1
    patient: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes the logs and checkpoints."""
        return self.rank == 0

    def wait(self) -> None:
        """Returns when all processes have come here; a signal is handled meanwhile."""
        if self.world_size == 1:
            return
        work = dist.barrier(self.patient, async_op=True)
        while not work.is_completed():
            time.sleep(POLL_SECONDS)
        work.wait()

    def agreed(self, signal_number: int | None) -> int | None:
        """A signal that any process has got: all stop at the same step, or none."""
        if self.world_size == 1:
            return signal_number
        largest = torch.tensor(signal_number or 0)
        dist.all_reduce(largest, dist.ReduceOp.MAX, self.patient)
        return int(largest) or None

    def same(self, value: Value) -> Value:
        """What the first process has."""
        if self.world_size == 1:
            return value
        self.wait()
        values = [value]
        dist.broadcast_object_list(values, group=self.patient)
        return values[0]

    def share_buffers(self, network: nn.Module) -> None:
        """The first process' statistics of batch norms, for all: on a CPU each has its own."""
        if self.world_size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def wrap(self, encoder: nn.Module, *, some_are_frozen: bool) -> nn.Module:
        """The network whose backward pass averages the gradients of all processes."""
        if self.world_size == 1:
            return encoder
        return DistributedDataParallel(encoder, find_unused_parameters=some_are_frozen)

    def with_synchronous_batch_norm(self, encoder: nn.Module, device: torch.device) -> nn.Module:
        """On GPUs batch norms see the statistics of the whole batch."""
        if self.world_size == 1 or device.type != "cuda":
            return encoder
        return nn.SyncBatchNorm.convert_sync_batchnorm(encoder)


def launched_by_torchrun() -> bool:
    """Whether the environment names a rank and a world of more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


@contextmanager
def process_group(device: torch.device, batch_size: int) -> Iterator[Ranks]:
    """Joins the other processes, if torchrun started any, and leaves them at the end.

    Raises:
        SettingError: the batch cannot be divided evenly among the processes, or there are more
            processes than GPUs.
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
    backend = "gloo"
    if device.type == "cuda":
        here = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
        if here > torch.cuda.device_count():
            raise SettingError(
                f"{here} processes for {torch.cuda.device_count()} GPUs; "
                "choose --nproc-per-node accordingly"
            )
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend)
    try:
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield Ranks(dist.get_rank(), world_size, patient)
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
