"""Decodes pictures once, into the same kind of store as songs: a row of pixels is its samples."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from melodai.audio import Decoded, Tags
from melodai.data.cache import CacheReport, Failure, OnProgress, default_cache_dir, num_cores
from melodai.data.picture_files import read_pixels
from melodai.data.store import CachedTrack, Store
from melodai.errors import DataError
from melodai.files import file_digest

VERSION = 1  # a change of the reading that changes pixels needs a new one


def build_picture_cache(
    paths: Iterable[Path],
    *,
    size: int,
    cache_dir: Path | None = None,
    num_decoders: int | None = None,
    on_progress: OnProgress = lambda done, total, path: None,
) -> CacheReport:
    """Brings every picture into the cache that is not there yet; see `build_cache`.

    Args:
        size: pixels a side; an entry has `size * size` samples, the lowest row first.
        num_decoders: threads; the number of cores where None.

    Raises:
        MelodaiError: the cache folder cannot be written.
    """
    started = time.monotonic()
    paths = list(dict.fromkeys(map(Path, paths)))
    store = Store(
        Path(cache_dir or default_cache_dir()).expanduser() / f"pictures-v{VERSION}-{size}"
    )
    store.prepare()

    def bring(path: Path) -> tuple[CachedTrack | str, bool]:
        try:
            key = file_digest(path)
        except OSError as error:
            return f"it cannot be read: {error.strerror}", True
        found = store.open(key)
        if isinstance(found, CachedTrack):
            return found, False
        try:
            store.write(key, Decoded(read_pixels(path, size), size, Tags()))
        except DataError as error:
            return str(error), True
        return store.open(key) or "its cache entry cannot be read back", True

    entries: dict[Path, CachedTrack] = {}
    failures, num_decoded = [], 0
    with ThreadPoolExecutor(num_decoders or num_cores()) as pool:
        for done, (path, (found, is_new)) in enumerate(
            zip(paths, pool.map(bring, paths), strict=True), start=1
        ):
            num_decoded += is_new
            if isinstance(found, CachedTrack):
                entries[path] = found
            else:
                failures.append(Failure(path, found))
            on_progress(done, len(paths), path)
    return CacheReport(
        entries=entries, failures=tuple(failures), num_decoded=num_decoded,
        seconds=time.monotonic() - started,
    )  # fmt: skip
