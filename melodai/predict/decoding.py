"""Songs decoded ahead of the model, in processes of their own, with bounded memory and disk."""

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melodai.audio import Hearing
from melodai.data.cache import Failure, num_cores
from melodai.data.decoders import run_jobs
from melodai.data.prefetch import prefetch
from melodai.errors import AudioError, MelodaiError

WORKER = (sys.executable, "-P", "-m", "melodai.predict.worker")
# A file may hang a decoder twice (`data.decoders.MAX_ATTEMPTS`): ten seconds in all.
STALL_SECONDS = 5.0
SONGS_AHEAD = 16
# Songs that wait for the model may take so much of the disk before decoding pauses.
BYTES_AHEAD = 2 << 30
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class SongAtHand:
    """A song in memory, int16 `(time,)`."""

    waveform: np.ndarray
    hearing: Hearing
    path: Path = Path("waveform")
    artist: str | None = None
    title: str | None = None

    @property
    def num_samples(self) -> int:
        return len(self.waveform)

    def read_into(self, samples: np.ndarray, start: int) -> None:
        samples[:] = self.waveform[start : start + len(samples)]

    def close(self) -> None:
        """Nothing has to be put away."""


@dataclass(frozen=True, kw_only=True)
class DecodedSong:
    """A song in a temporary file, which `close` removes.

    Attributes:
        path: of the song.
        samples: the file of its samples, raw int16.
    """

    path: Path
    samples: Path
    num_samples: int
    hearing: Hearing
    artist: str | None
    title: str | None
    on_close: Callable[[int], None]

    def read_into(self, samples: np.ndarray, start: int) -> None:
        with self.samples.open("rb", buffering=0) as file:
            file.seek(2 * start)
            count = file.readinto(memoryview(samples).cast("B"))
        assert count == samples.nbytes, f"{self.samples} was cut off"

    def close(self) -> None:
        self.samples.unlink(missing_ok=True)
        self.on_close(2 * self.num_samples)


class _Room:
    """How much of the disk the songs take that wait for the model."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def is_left(self) -> bool:
        return self._taken < self._limit

    def take(self, num_bytes: int) -> None:
        with self._lock:
            self._taken += num_bytes

    def give_back(self, num_bytes: int) -> None:
        self.take(-num_bytes)


@contextlib.contextmanager
def decoded_songs(
    paths: Sequence[Path],
    sample_rate: int,
    *,
    pieces: int = 0,
    segment_samples: int | None = None,
    num_decoders: int | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    command: Sequence[str] = WORKER,
    stall_seconds: float = STALL_SECONDS,
    bytes_ahead: int = BYTES_AHEAD,
) -> Iterator[Iterator[DecodedSong | Failure]]:
    """The songs as they become ready, decoded ahead while the caller is busy with others.

    Their samples lie in the folder for temporary files ($TMPDIR), each until it is closed: at most
    `bytes_ahead` and one song more for each decoder, however many songs there are.

    Args:
        pieces, segment_samples: of a song only an excerpt may be decoded, see `data.excerpt`.
        num_decoders: decoding processes; the number of cores where None.
        is_stopped: once true, no more songs come.

    Raises:
        MelodaiError: the folder for temporary files cannot be written.
    """
    is_over = threading.Event()
    room = _Room(bytes_ahead)
    with _temporary_folder() as folder:
        jobs = _Jobs(
            paths, folder, sample_rate=sample_rate, stall_seconds=stall_seconds,
            pieces=pieces if segment_samples else 0, segment_samples=segment_samples,
        )  # fmt: skip
        results = run_jobs(
            jobs,
            num_decoders=num_decoders or num_cores(),
            command=(*command, str(folder)),
            stall_seconds=stall_seconds,
            is_stopped=lambda: is_over.is_set() or is_stopped(),
        )

        def songs() -> Iterator[DecodedSong | Failure]:
            with contextlib.closing(results):
                for position, result in results:
                    path, samples = paths[position], jobs.target(position)
                    if "failure" in result:
                        samples.unlink(missing_ok=True)
                        yield Failure(path, result["failure"])
                        continue
                    room.take(2 * result["num_samples"])
                    yield DecodedSong(
                        path=path, samples=samples, num_samples=result["num_samples"],
                        hearing=Hearing.from_json(result["hearing"]), artist=result["artist"],
                        title=result["title"], on_close=room.give_back,
                    )  # fmt: skip
                    # No result is asked for, and no child given a job, while there is no room.
                    while not (room.is_left or is_over.is_set() or is_stopped()):
                        time.sleep(POLL_SECONDS)

        ahead = prefetch(songs(), depth=SONGS_AHEAD)
        try:
            yield ahead
        finally:
            is_over.set()
            ahead.close()


def read_song(path: Path, sample_rate: int) -> tuple[np.ndarray, Hearing]:
    """One file in memory, int16 `(time,)`, decoded in a process of its own; what was heard of it.

    Raises:
        AudioError: it cannot be listened to; the message names it and says why.
    """
    with decoded_songs([path], sample_rate, num_decoders=1) as songs:
        for song in songs:
            if isinstance(song, Failure):
                raise AudioError(f"{song.path}: {song.reason}")
            waveform = np.empty(song.num_samples, np.int16)
            song.read_into(waveform, 0)
            song.close()
    return waveform, song.hearing


class _Jobs(Sequence):
    """The jobs of a list of any length, each made when it is needed."""

    def __init__(self, paths: Sequence[Path], folder: Path, **settings: float | None) -> None:
        self._paths, self._folder, self._settings = paths, folder, settings

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, position: int) -> dict:
        path = os.path.abspath(self._paths[position])
        return {"path": path, "target": str(self.target(position)), **self._settings}

    def target(self, position: int) -> Path:
        """Where the samples of a song go."""
        return self._folder / f"{position}.int16"


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="melodai-", ignore_cleanup_errors=True)
    except OSError as error:
        raise MelodaiError(
            f"no folder for temporary files can be made: {error.strerror or error}; "
            "name one with room in it in $TMPDIR"
        ) from error
    with folder as name:
        yield Path(name)
