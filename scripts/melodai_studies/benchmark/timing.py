"""Times several ways of doing a thing in turn, so that a busy machine is unfair to none."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of doing a task.

    Attributes:
        run: does it once for `num_clips` clips.
        max_rounds: for what takes so long that a few rounds must do.
    """

    task: str
    name: str
    run: Callable[[], object]
    num_clips: int
    max_rounds: int = 1000


class Timing(NamedTuple):
    """What a way took.

    Attributes:
        milliseconds: median a clip.
        processor_milliseconds: time of all cores together, median a clip.
        fastest: the fastest round, in milliseconds a clip.
        ratio: to the first way of the task, median over the rounds.
    """

    task: str
    way: str
    milliseconds: float
    fastest: float
    processor_milliseconds: float
    ratio: float
    rounds: int


def measure(
    ways: Sequence[Way],
    rounds: int,
    *,
    seed: int = 0,
    on_round: Callable[[int], None] = lambda done: None,
) -> list[Timing]:
    """Each way once to warm up, then all of them, `rounds` times, each time in another order."""
    clocks = {way: _Clock() for way in ways}
    for way in ways:
        way.run()
    order = random.Random(seed)
    for done in range(rounds):
        for way in order.sample(ways, len(ways)):
            if done < way.max_rounds:
                clocks[way].time(way)
        on_round(done + 1)
    first_of_task = {way.task: way for way in reversed(ways)}
    return [
        Timing(
            task=way.task,
            way=way.name,
            milliseconds=1e3 * statistics.median(clock.wall),
            fastest=1e3 * min(clock.wall),
            processor_milliseconds=1e3 * statistics.median(clock.processor),
            ratio=_median_ratio(clock.wall, clocks[first_of_task[way.task]].wall),
            rounds=len(clock.wall),
        )
        for way, clock in clocks.items()
    ]


class _Clock:
    """Seconds a clip of each round of one way."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def time(self, way: Way) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        way.run()
        self.wall.append((time.perf_counter() - wall) / way.num_clips)
        self.processor.append((time.process_time() - processor) / way.num_clips)


def _median_ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    """Of the rounds that both took part in: neighbours in time saw the same machine."""
    return statistics.median(a / b for a, b in zip(values, reference, strict=False))
