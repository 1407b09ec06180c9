"""Decodes songs once: builds the cache in parallel, restartable and safe against other builders."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from melodai.data.content_index import ContentIndex
from melodai.data.decoders import STALL_SECONDS, WORKER, run_jobs
from melodai.data.store import CachedTrack, Store
from melodai.errors import MelodaiError

__all__ = ["CacheReport", "CachedTrack", "Failure", "build_cache", "default_cache_dir"]

logger = logging.getLogger(__name__)

VERSION = 2  # a change of the decoding that changes samples needs a new one
ABANDONED_SECONDS = 3600.0

OnProgress = Callable[[int, int, Path], None]
"""Called with (files done, files in all, the file just done)."""


@dataclass(frozen=True)
class Failure:
    """A file that cannot be used."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class CacheReport:
    """What became of the files, in the order in which they were given.

    Attributes:
        num_decoded: files that were new or whose entry was damaged.
    """

    entries: dict[Path, CachedTrack]
    failures: tuple[Failure, ...]
    num_decoded: int
    seconds: float


def default_cache_dir() -> Path:
    """$MELODAI_CACHE, or the user's cache folder."""
    chosen = os.environ.get("MELODAI_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("melodai")


def build_cache(
    paths: Iterable[Path],
    *,
    sample_rate: int,
    cache_dir: Path | None = None,
    num_decoders: int | None = None,
    on_progress: OnProgress = lambda done, total, path: None,
    command: Sequence[str] = WORKER,
    stall_seconds: float = STALL_SECONDS,
) -> CacheReport:
    """Brings every file into the cache that is not there yet, and verifies those that are.

    Stopped at any moment and called again, it goes on where it was.

    Args:
        num_decoders: decoding processes; the number of cores where None.
        command: what runs as a decoder process (see `decoders`).
        stall_seconds: without a sign of life for so long, a decoder is ended and the file fails.

    Raises:
        MelodaiError: the cache folder cannot be written.
    """
    started = time.monotonic()
    paths = list(dict.fromkeys(Path(path) for path in paths))
    num_decoders = num_decoders or num_cores()
    cache_dir = Path(cache_dir or default_cache_dir()).expanduser()
    store = Store(cache_dir / f"v{VERSION}-{sample_rate}")
    store.prepare()
    _remove_abandoned(store.folder)
    results: dict[Path, CachedTrack | str] = {}

    def settle(path: Path, result: CachedTrack | str) -> None:
        results[path] = result
        on_progress(len(results), len(paths), path)

    with ContentIndex(cache_dir / "files.sqlite") as index:
        known = {path: key for path in paths if (key := index.find(path)) is not None}
        with ThreadPoolExecutor(num_decoders) as pool:
            for path, result in zip(known, pool.map(store.open, known.values()), strict=True):
                if result is not None:
                    settle(path, result)
        pending = [path for path in paths if path not in results]
        # Two builders that start at different places share the work: what one finds done by the
        # other it leaves alone.
        turn = os.getpid() % max(1, len(pending))
        pending = pending[turn:] + pending[:turn]
        settings = {"folder": str(store.folder.absolute()), "sample_rate": sample_rate}
        jobs = [{"path": str(path.absolute()), **settings} for path in pending]
        outcomes = run_jobs(
            jobs, num_decoders=num_decoders, command=command, stall_seconds=stall_seconds
        )
        with contextlib.closing(outcomes):  # also when interrupted: no child outlives the build
            for position, outcome in outcomes:
                path = pending[position]
                if "fatal" in outcome:
                    raise MelodaiError(outcome["fatal"])
                if "failure" in outcome:
                    settle(path, outcome["failure"])
                    continue
                index.remember(path, outcome["size"], outcome["mtime_ns"], outcome["key"])
                settle(path, store.open(outcome["key"]) or "its cache entry cannot be read back")
    return CacheReport(
        entries={path: results[path] for path in paths if isinstance(results[path], CachedTrack)},
        failures=tuple(
            Failure(path, results[path]) for path in paths if isinstance(results[path], str)
        ),
        num_decoded=len(pending),
        seconds=time.monotonic() - started,
    )


def num_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _remove_abandoned(folder: Path) -> None:
    """Removes what killed builders left half-written."""
    for path in folder.glob("*/*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()
        except OSError as error:  # another builder was faster, or it is not ours
            logger.debug("%s stays: %s", path, error)
