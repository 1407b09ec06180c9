"""Independent pieces of work on the CPU, spread over as many threads as torch may use."""

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`[work(item) for item in items]`, several at a time, each within one thread.

    Products of small matrices lose more than they gain when each is split over threads, and stall
    on a busy machine. A piece's result depends neither on their number nor on the other pieces.
    """
    num_threads = torch.get_num_threads()
    if num_threads == 1:
        return [_alone(work, item) for item in items]
    return list(_pool(num_threads, os.getpid()).map(functools.partial(_alone, work), items))


def _alone(work: Callable[[Item], Result], item: Item) -> Result:
    # Modes are per thread; tensors made under the caller's inference mode may be written only so.
    with torch.inference_mode():
        return work(item)


# The process id is part of the key because threads do not survive a fork.
@functools.lru_cache(maxsize=2)
def _pool(num_threads: int, process: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(num_threads, "melodai", initializer=_keep_to_one_core)
    # A thread's own number is also what threads born later start with: once all of these have
    # theirs, it is put back.
    all_here = threading.Barrier(num_threads)
    list(pool.map(lambda _: all_here.wait(), range(num_threads)))
    torch.set_num_threads(num_threads)
    return pool


def _keep_to_one_core() -> None:
    torch.get_num_threads()  # a thread takes over the common number when it first asks for it
    torch.set_num_threads(1)
