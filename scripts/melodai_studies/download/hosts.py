"""Politeness: one connection a host at a time, and a pause after each."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from melodai_studies.download.rules import Patience


@dataclass
class _Host:
    in_use: threading.Lock = field(default_factory=threading.Lock)
    not_before: float = 0.0


class Hosts:
    """The hosts of one run of the program, shared by its threads."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._hosts: dict[str, _Host] = {}

    @contextmanager
    def turn(self, name: str, patience: Patience) -> Iterator[None]:
        """Waits until nobody else uses the host and its pause is over."""
        host = self._hosts.setdefault(name, _Host())
        began = time.monotonic()
        while not host.in_use.acquire(timeout=patience.moment()):
            patience.extend(time.monotonic() - began)
            began = time.monotonic()
        try:
            patience.extend(max(0.0, host.not_before - time.monotonic()))
            patience.sleep(host.not_before - time.monotonic())
            yield
        finally:
            host.not_before = max(host.not_before, time.monotonic() + self._delay_seconds)
            host.in_use.release()

    def postpone(self, name: str, seconds: float) -> None:
        """Nobody asks the host again before."""
        host = self._hosts.setdefault(name, _Host())
        host.not_before = max(host.not_before, time.monotonic() + seconds)
