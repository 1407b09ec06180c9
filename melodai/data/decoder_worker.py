"""The child process that decodes files into the cache (`python -m melodai.data.decoder_worker`).

See `decoders` for what is said on stdin and stdout.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melodai import audio
from melodai.audio import check_is_file
from melodai.data.store import Store
from melodai.errors import AudioError, MelodaiError
from melodai.files import file_digest

MAX_BYTES = 8 << 30
ALIVE_SECONDS = 1.0
ALARM_SECONDS = 120
WRITE_SECONDS = 100  # a slow or busy disk is not a hanging decoder


def main() -> None:
    serve(process)


def serve(
    process: Callable[[dict, "Heartbeat"], dict], on_orphaned: Callable[[], None] = lambda: None
) -> None:
    """Answers jobs until the parent ends, each with what `process` makes of it.

    Args:
        on_orphaned: called when the parent is gone without having ended this process.
    """
    # Libraries may print: what they say must not come between the lines of the protocol.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _limit_memory()
    jobs: queue.SimpleQueue[dict] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs, on_orphaned), daemon=True).start()

    def say(event: str, **values: Any) -> None:
        answers.write(json.dumps({"event": event, **values}) + "\n")
        answers.flush()

    heartbeat = Heartbeat(say)
    say("ready")
    while True:
        job = jobs.get()
        heartbeat.start()
        say("done", **process(job, heartbeat))
        heartbeat.stop()


def process(job: dict, heartbeat: "Heartbeat") -> dict:
    """Hashes the file and, unless the cache has its content already, decodes it into the cache.

    Returns:
        `key`, `size`, `mtime_ns` of the file when it is in the cache (also when the cache now
        holds the reason why it cannot be used); or `failure`, a reason that may not hold the next
        time; or `fatal`, a message that ends the whole build.
    """
    path, store = Path(job["path"]), Store(Path(job["folder"]))
    try:
        check_is_file(path)
        before = path.stat()
        key = file_digest(path, heartbeat)
        if store.open(key) is None:
            try:
                decoded = audio.decode(path, job["sample_rate"], on_progress=heartbeat)
            except AudioError as error:
                decoded = str(error)
            if _identity(path.stat()) != _identity(before):
                return {"failure": "it changed while it was read"}
            heartbeat.expect(WRITE_SECONDS)
            _write(store, key, decoded)
    except AudioError as error:
        return {"failure": str(error)}
    except OSError as error:
        return {"failure": f"cannot be read: {error.strerror or error}"}
    except MemoryError:
        return {"failure": f"needs more than {MAX_BYTES >> 30} GB of memory"}
    except MelodaiError as error:
        return {"fatal": str(error)}
    size, mtime_ns = _identity(before)
    return {"key": key, "size": size, "mtime_ns": mtime_ns}


def _write(store: Store, key: str, decoded: audio.Decoded | str) -> None:
    try:
        store.write(key, decoded)
    except MelodaiError:
        # Windows lets nobody replace a file that another builder is just reading: then it is there.
        if store.open(key) is None:
            raise


class Heartbeat:
    """Says that the job gets on, at most once a second."""

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self._last = 0.0

    def start(self) -> None:
        self._last = time.monotonic()
        if hasattr(signal, "alarm"):
            # Then the system ends a child whose parent is gone, even one that hangs in a decoder.
            signal.alarm(ALARM_SECONDS)

    def stop(self) -> None:
        if hasattr(signal, "alarm"):
            signal.alarm(0)

    def expect(self, seconds: int) -> None:
        """What comes now may take so long."""
        self.start()
        self._say("alive", seconds=seconds)

    def __call__(self) -> None:
        if time.monotonic() - self._last >= ALIVE_SECONDS:
            self.start()
            self._say("alive")


def _listen(jobs: queue.SimpleQueue, on_orphaned: Callable[[], None]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    on_orphaned()
    os._exit(0)  # the parent has ended, or needs no more: in the middle of a job, too


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some limits
        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))


if __name__ == "__main__":
    main()
