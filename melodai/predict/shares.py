"""Processes started by `torchrun` that share a list of songs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch.distributed as dist

from melodai.errors import RankFailedError

Item = TypeVar("Item")

MEETING_TIME = timedelta(minutes=5)
# Whoever is ready first waits for the last, who may have the longest songs.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Share:
    """The part of this process, `rank` of `world_size`."""

    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and puts the parts together."""
        return self.rank == 0

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items that are this process' own."""
        return items[self.rank :: self.world_size]

    def wait_for_all(self) -> None:
        """Returns when all processes have come here.

        Raises:
            RankFailedError: one of them has died.
        """
        if self.world_size == 1:
            return
        try:
            dist.barrier(self.group)
        except (dist.DistError, RuntimeError) as error:
            raise RankFailedError(
                "another process that shares the songs has ended; its message says why. The same "
                "command with --resume goes on"
            ) from error


@contextmanager
def joined() -> Iterator[Share]:
    """Joins the other processes, if torchrun started any, and leaves them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        yield Share()
        return
    dist.init_process_group("gloo", timeout=MEETING_TIME)
    try:
        group = dist.new_group(timeout=PATIENCE)
        yield Share(dist.get_rank(), dist.get_world_size(), group)
    finally:
        dist.destroy_process_group()


def decoders_of_rank(num_cores: int) -> int:
    """Decoding processes of this process, where several share the cores of a machine."""
    return max(1, num_cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
