"""Ctrl-C and SIGTERM as a wish that is granted at the next step, not as an exception anywhere."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(KeyboardInterrupt):
    """The run was stopped from outside after its state had been saved.

    Attributes:
        signal_number: which signal it was.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Wish:
    """Whether a signal has come, and which."""

    signal_number: int | None = None


@contextmanager
def graceful_interrupt() -> Iterator[Wish]:
    """Notes the first Ctrl-C or SIGTERM; a second one interrupts at once.

    Only the main thread can take signals; elsewhere this does nothing.
    """
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def note(signal_number: int, frame: object) -> None:
        if wish.signal_number is not None:
            raise KeyboardInterrupt
        wish.signal_number = signal_number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
