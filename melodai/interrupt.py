"""Ctrl-C and SIGTERM: at once, or as a wish that is granted at the next step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The program was stopped from outside; what it had finished is kept.

    Attributes:
        signal_number: which signal it was.
        is_explained: whether the user was told how to go on.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number
        self.is_explained = False


class Wish:
    """Whether a signal has come, and which."""

    signal_number: int | None = None

    def check(self) -> None:
        """Raises Interrupted once a signal has come."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)


@contextmanager
def prompt_interrupt() -> Iterator[None]:
    """Raises Interrupted wherever the program is when Ctrl-C or SIGTERM comes."""

    def stop(signal_number: int, frame: object) -> None:
        raise Interrupted(signal_number)

    with _handled_by(stop):
        yield


@contextmanager
def graceful_interrupt() -> Iterator[Wish]:
    """Notes the first Ctrl-C or SIGTERM; a second one interrupts at once."""
    wish = Wish()

    def note(signal_number: int, frame: object) -> None:
        if wish.signal_number is not None:
            raise KeyboardInterrupt
        wish.signal_number = signal_number

    with _handled_by(note):
        yield wish


@contextmanager
def _handled_by(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Only the main thread can take signals; elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
