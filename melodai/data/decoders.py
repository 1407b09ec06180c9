"""Runs jobs in child processes that may crash or hang without taking the program with them.

A child is a plain command that reads one JSON job a line and answers in JSON lines:

    {"event": "ready"}        once, when it can take jobs
    {"event": "alive"}        now and then while it gets on with a job; with "seconds" before
                              something that may take so long
    {"event": "done", ...}    the job's result

No `multiprocessing`: the children import nothing of the user's script, which therefore needs no
`__main__` guard.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from melodai.errors import MelodaiError

WORKER = (sys.executable, "-P", "-m", "melodai.data.decoder_worker")
STALL_SECONDS = 10.0
START_SECONDS = 120.0
STOP_SECONDS = 0.1  # how often a caller's wish to stop is looked at
EXIT_SECONDS = 2.0
MAX_ATTEMPTS = 2  # a child may also have been killed for want of memory, or a disk was asleep


def run_jobs(
    jobs: Sequence[dict],
    *,
    num_decoders: int,
    command: Sequence[str] = WORKER,
    stall_seconds: float = STALL_SECONDS,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, dict]]:
    """Yields (position of the job, its result) as the results come.

    A child is given its next job only while a result is asked for: a caller that does not come
    back finds no more than one result of each child waiting.

    A job that twice ends its child, or leaves it without a sign of life for `stall_seconds`, has
    the result `{"failure": reason}`. Closing the generator ends all children at once.

    Args:
        is_stopped: once true, no more results come; another thread than the caller's may say so.

    Raises:
        MelodaiError: a child does not even start.
    """
    waiting = deque(range(len(jobs)))
    attempts = [0] * len(jobs)
    events: queue.SimpleQueue[tuple[_Child, dict | None]] = queue.SimpleQueue()
    children: list[_Child] = []
    remaining = len(jobs)
    try:
        for _ in range(min(num_decoders, len(jobs))):
            children.append(_Child(command, events))
        while remaining:
            event = _next_event(events, children, stall_seconds, is_stopped)
            if event is None:
                return
            child, message = event
            job = child.job
            if message is None:
                children.remove(child)
                reason = child.epitaph()
                if job is not None and attempts[job] < MAX_ATTEMPTS:
                    waiting.append(job)
                elif job is not None:
                    remaining -= 1
                    yield job, {"failure": reason}
                if waiting or any(other.job is not None for other in children):
                    children.append(_Child(command, events))
                continue
            child.deadline = time.monotonic() + message.get("seconds", stall_seconds)
            if message["event"] == "alive":
                continue
            child.job = None
            if waiting:
                attempts[waiting[0]] += 1
                child.give(waiting[0], jobs[waiting.popleft()], stall_seconds)
            if message["event"] == "done":
                remaining -= 1
                yield job, message
    finally:
        for child in children:
            child.kill()


def _next_event(
    events: queue.SimpleQueue,
    children: list["_Child"],
    stall_seconds: float,
    is_stopped: Callable[[], bool],
) -> tuple["_Child", dict | None] | None:
    """The next thing a child says (None: it has ended); kills those that hang meanwhile.

    Nothing once the caller wants no more.
    """
    while not is_stopped():
        try:
            # Whatever was said while the caller was busy comes before any deadline is looked at.
            return events.get_nowait()
        except queue.Empty:
            pass
        now = time.monotonic()
        for child in children:
            if child.deadline is not None and child.deadline < now:
                child.is_hung, child.deadline = True, None
                child.process.kill()
        deadlines = [child.deadline for child in children if child.deadline is not None]
        try:
            seconds = max(0.01, min(deadlines, default=now + stall_seconds) - now)
            return events.get(timeout=min(seconds, STOP_SECONDS))
        except queue.Empty:
            continue
    return None


class _Child:
    """One child process, and the thread that listens to it."""

    def __init__(self, command: Sequence[str], events: queue.SimpleQueue) -> None:
        self.job: int | None = None
        self.is_ready = self.is_hung = False
        self.deadline: float | None = time.monotonic() + START_SECONDS
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the child
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
        )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def _listen(self, events: queue.SimpleQueue) -> None:
        with self.process.stdout as lines:
            for line in lines:
                self.is_ready = True
                events.put((self, json.loads(line)))
        events.put((self, None))

    def give(self, index: int, job: dict, stall_seconds: float) -> None:
        self.job, self.deadline = index, time.monotonic() + stall_seconds
        with contextlib.suppress(OSError):  # it is dead: its listener says so next
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()

    def epitaph(self) -> str:
        """Why it ended."""
        try:
            # Its output ends a little before it does: killed now, it would not say why.
            code = self.process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self._close()
        if not self.is_ready:
            detail = "it hangs" if self.is_hung else said[-500:] or f"exit code {code}"
            raise MelodaiError(f"the decoder process does not start: {detail}")
        if self.is_hung:
            return "hung its decoder"
        return f"killed its decoder ({_cause(code, said)})"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        self._errors.close()
        with contextlib.suppress(OSError):  # what was left to write went with the child
            self.process.stdin.close()


def _cause(code: int, said: str) -> str:
    if code >= 0:
        last_words = said.splitlines()[-1:] if code else []
        return ": ".join([f"exit code {code}", *last_words])
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _environment() -> dict[str, str]:
    """The child finds melodai where this process did, installed or not."""
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, os.environ.get("PYTHONPATH", "")]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
