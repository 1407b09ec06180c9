"""What a download may do and how long it may take; the wish to stop is heard everywhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from melodai.errors import DownloadError

SECONDS = 90.0  # of each song, as the study kept them
NUM_HOSTS = 4
_POLL_SECONDS = 0.2  # so soon a wish to stop is noticed


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Limits of a download.

    Attributes:
        allow_http: also plain http, which anybody on the way can read and change.
        allow_private: also addresses of this machine and of local networks.
        ignore_proxy: connect directly though the environment names a proxy.
        max_bytes: a file that is larger is refused.
        connect_seconds: for one connection, with its encryption.
        stall_seconds: without a single byte.
        total_seconds: for one file, with all attempts.
        retries: after the first attempt.
        backoff_seconds: before the first retry; doubled before each other one.
        longest_wait_seconds: a server that asks for more (Retry-After) is given up.
        delay_seconds: between two requests to one host.
    """

    allow_http: bool = False
    allow_private: bool = False
    ignore_proxy: bool = False
    max_bytes: int = 200_000_000
    connect_seconds: float = 15.0
    stall_seconds: float = 30.0
    total_seconds: float = 900.0
    retries: int = 4
    backoff_seconds: float = 1.0
    longest_wait_seconds: float = 120.0
    delay_seconds: float = 1.0


class Stopped(Exception):
    """The user wishes to stop; what was received is kept."""


class Patience:
    """The time that is left for one file, and whether the user still wants it."""

    def __init__(self, seconds: float, should_stop: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._should_stop = should_stop

    def extend(self, seconds: float) -> None:
        """Time spent in a queue is not held against the file."""
        self._end += seconds

    def moment(self) -> float:
        """Seconds that may be waited before asking again.

        Raises:
            Stopped: the user wishes it.
            DownloadError: the time is over.
        """
        if self._should_stop():
            raise Stopped
        left = self._end - time.monotonic()
        if left <= 0:
            raise DownloadError(f"it took more than {self._seconds:g} s; run again to go on")
        return min(_POLL_SECONDS, left)

    def sleep(self, seconds: float) -> None:
        """Waits; raises as `moment` does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(self.moment(), left))
