"""Decoded songs on disk, found by what their files contain.

`<folder>/<first two letters of the key>/<key>.npy` holds the samples (int16, so that
`numpy.load(path, mmap_mode="r")` opens it), `<key>.json` beside it their number, checksum and tags,
or the reason why the file cannot be used. Both are written to a temporary file, synced, and moved
into place, the samples first: whatever has its `.json` is complete, and any number of processes
may write at once.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from melodai.audio import Decoded, Hearing, Tags
from melodai.errors import DataError, MelodaiError
from melodai.files import replacing

_CHUNK_BYTES = 1 << 24
_NPY_ALIGNMENT = 64  # the header of a .npy file is padded to a multiple of it
NO_TAGS = Tags()


@dataclass(frozen=True, kw_only=True)
class CachedTrack:
    """A song in the cache.

    Attributes:
        key: SHA-256 of the content of the file it was decoded from.
        path: the .npy file.
        checksum: CRC-32 of the samples.
        hearing: what was heard of the file; its samples are all that was.
    """

    key: str
    path: Path
    num_samples: int
    checksum: int
    tags: Tags = NO_TAGS
    hearing: Hearing = Hearing()

    def read(self, start: int = 0, num_samples: int | None = None) -> np.ndarray:
        """The samples from `start`, int16 (num_samples,); nothing stays open.

        Raises:
            DataError: the cache lost or changed the song meanwhile.
        """
        count = self.num_samples - start if num_samples is None else num_samples
        samples = np.empty(count, np.int16)
        self.read_into(samples, start)
        return samples

    def read_into(self, samples: np.ndarray, start: int = 0) -> None:
        """The same into an int16 array, without a copy on the way."""
        if start < 0 or start + len(samples) > self.num_samples:
            raise ValueError(f"samples {start} to {start + len(samples)} of {self.num_samples}")
        try:
            with self.path.open("rb", buffering=0) as file:
                header_bytes = file.seek(0, os.SEEK_END) - 2 * self.num_samples
                is_whole = header_bytes > 0 and header_bytes % _NPY_ALIGNMENT == 0
                if is_whole:
                    file.seek(header_bytes + 2 * start)
                    file.readinto(memoryview(samples).cast("B"))
        except OSError as error:
            raise DataError(f"the cache lost {self.path} ({error.strerror}); run again") from error
        if not is_whole:
            raise DataError(f"the cache entry {self.path} has changed; run again")

    def is_intact(self) -> bool:
        """Whether the samples are there, all of them, and as they were written."""
        try:
            samples = np.load(self.path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return False
        return (
            samples.dtype == np.int16
            and samples.shape == (self.num_samples,)
            and zlib.crc32(samples) == self.checksum
        )


class Store:
    """The folder of one version and sample rate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / key[:2] / f"{key}{suffix}"

    def open(self, key: str) -> CachedTrack | str | None:
        """The entry, or why the file cannot be used; None if unknown or damaged.

        Samples whose file was touched since they were written are held against their checksum.
        """
        try:
            values = json.loads(self._path(key, ".json").read_text(encoding="utf-8"))
            if "failure" in values:
                # Another version of the decoder may do better.
                return values["failure"] if values["decoder"] == av.__version__ else None
            values["tags"] = Tags(**values["tags"])
            values["hearing"] = Hearing.from_json(values["hearing"])
            written = values.pop("mtime_ns", None)
            entry = CachedTrack(key=key, path=self._path(key, ".npy"), **values)
            is_as_written = entry.path.stat().st_mtime_ns == written
        except (OSError, ValueError, TypeError, KeyError):
            return None
        # To read everything takes minutes where there are thousands of songs.
        return entry if is_as_written or entry.is_intact() else None

    def write(self, key: str, decoded: Decoded | str) -> None:
        """Stores a song, or the reason why the file cannot be used.

        Raises:
            MelodaiError: the folder cannot be written, for example because the disk is full.
        """
        if isinstance(decoded, str):
            values = {"failure": decoded, "decoder": av.__version__}
        else:
            samples = np.ascontiguousarray(decoded.waveform, "<i2")
            values = {
                "num_samples": len(samples),
                "checksum": zlib.crc32(samples),
                "tags": decoded.tags._asdict(),
                "hearing": decoded.hearing,
            }
        with self._explained():
            self._path(key, "").parent.mkdir(parents=True, exist_ok=True)
            if not isinstance(decoded, str):
                with replacing(self._path(key, ".npy")) as file:
                    np.save(file, samples, allow_pickle=False)
                values["mtime_ns"] = self._path(key, ".npy").stat().st_mtime_ns
            with replacing(self._path(key, ".json")) as file:
                file.write(json.dumps(values).encode())

    def prepare(self) -> None:
        """Makes the folder and checks that it can be written.

        Raises:
            MelodaiError: it cannot.
        """
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / "melodai-cache") as file:
                file.write(b"Decoded songs. This folder can be deleted at any time.\n")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MelodaiError(
                f"cannot write to the cache {self.folder}: {error.strerror or error}; "
                "make room there or choose another folder with --cache-dir"
            ) from error
