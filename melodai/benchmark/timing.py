"""Times several ways of doing a thing in turn, so that a busy machine is unfair to none."""

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
        fastest: the fastest round, in milliseconds a clip.
        ratio: to the first way of the task, median over the rounds.
    """

    task: str
    way: str
    milliseconds: float
    fastest: float
    ratio: float
    rounds: int


def measure(
    ways: Sequence[Way], rounds: int, on_round: Callable[[int], None] = lambda done: None
) -> list[Timing]:
    """Each way once to warm up, then all of them in turn, `rounds` times."""
    seconds: dict[tuple[str, str], list[float]] = {(way.task, way.name): [] for way in ways}
    first_of_task: dict[str, tuple[str, str]] = {}
    for way in ways:
        first_of_task.setdefault(way.task, (way.task, way.name))
        way.run()
    for done in range(rounds):
        for way in ways:
            if done < way.max_rounds:
                began = time.perf_counter()
                way.run()
                elapsed = time.perf_counter() - began
                seconds[way.task, way.name].append(elapsed / way.num_clips)
        on_round(done + 1)
    return [
        Timing(
            task=task,
            way=name,
            milliseconds=1e3 * statistics.median(values),
            fastest=1e3 * min(values),
            ratio=_median_ratio(values, seconds[first_of_task[task]]),
            rounds=len(values),
        )
        for (task, name), values in seconds.items()
    ]


def _median_ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    """Of the rounds that both took part in: neighbours in time saw the same machine."""
    return statistics.median(a / b for a, b in zip(values, reference, strict=False))
