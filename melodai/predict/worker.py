"""The child process that decodes songs into files of samples (`-m melodai.predict.worker FOLDER`).

The protocol is that of `data.decoders`. A job names the song, the file to write into the folder,
the rate, and for how long the parent waits for a sign of life. The song is written as it is
decoded, as float32; when its level and its silences are known, what is heard of it takes the place
of that in the same file, as int16. So its length costs no memory.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from melodai.audio import Decoded, SongReader
from melodai.audio.excerpt import decode_excerpt
from melodai.audio.level import Plan
from melodai.data.decoder_worker import WRITE_SECONDS, Heartbeat, serve
from melodai.data.segments import spread
from melodai.errors import AudioError

BYTES_AT_ONCE = 1 << 20
FRAMES_AT_ONCE = 100


def decode_to_file(job: dict, heartbeat: Heartbeat) -> dict:
    """Writes `job["target"]`, raw int16.

    Returns:
        `num_samples`, `hearing`, `artist` and `title`; or `failure`, why it cannot be listened to.
    """
    target = Path(job["target"])
    reader = SongReader(job["path"], job["sample_rate"])
    try:
        if job["pieces"] and (excerpt := _excerpt(job)):
            heartbeat.expect(WRITE_SECONDS)
            with _explained(target):
                target.write_bytes(excerpt.waveform.tobytes())
            said = {"artist": excerpt.tags.artist, "title": excerpt.tags.title}
            return {"num_samples": len(excerpt.waveform), "hearing": excerpt.hearing, **said}
        _write_whole(target, reader, heartbeat, job["stall_seconds"])
        plan, hearing = reader.plan()
        heartbeat.expect(WRITE_SECONDS)
        _keep_what_is_heard(target, plan)
    except AudioError as error:
        reason = str(error)
    except MemoryError:
        reason = "needs too much memory"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    else:
        said = {"artist": reader.tags.artist, "title": reader.tags.title, "hearing": hearing}
        return {"num_samples": plan.num_kept, **said}
    target.unlink(missing_ok=True)
    return {"failure": reason}


def _excerpt(job: dict) -> Decoded | None:
    count = job["pieces"]
    length = job["segment_samples"] // count
    return decode_excerpt(
        job["path"], job["sample_rate"], lambda num_samples: spread(num_samples, count, length)
    )


def _write_whole(
    target: Path, reader: SongReader, heartbeat: Heartbeat, stall_seconds: float
) -> None:
    for number, piece in enumerate(_in_pieces(reader, heartbeat)):
        # A slow or busy disk is not a hanging decoder.
        heartbeat.expect(WRITE_SECONDS)
        with _explained(target), target.open("ab" if number else "wb") as file:
            file.write(piece)
        heartbeat.expect(stall_seconds)


def _keep_what_is_heard(target: Path, plan: Plan) -> None:
    with _explained(target), target.open("r+b", buffering=0) as file:

        def blocks() -> Iterator[np.ndarray]:
            place = 0
            while file.seek(place) == place and (
                block := file.read(4 * FRAMES_AT_ONCE * plan.frame_samples)
            ):
                place += len(block)
                yield np.frombuffer(block, np.float32)

        end = 0  # half as many bytes are written as were read
        for block in plan.apply(blocks()):
            file.seek(end)
            end += file.write(block.tobytes())
        file.truncate(end)


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AudioError(
            f"its samples cannot be kept in {target.parent}: {error.strerror or error}; "
            "$TMPDIR may name a folder with more room"
        ) from error


def _in_pieces(blocks: Iterable[np.ndarray], heartbeat: Heartbeat) -> Iterator[bytes]:
    kept = bytearray()
    for block in blocks:
        heartbeat()
        kept += block.tobytes()
        if len(kept) >= BYTES_AT_ONCE:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)


def _remove(folder: Path) -> None:
    """Removes what the parent left, while other children may still write into it."""
    gone = folder.with_name(folder.name + "-gone")
    with contextlib.suppress(OSError):  # another child was faster
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


if __name__ == "__main__":
    serve(decode_to_file, on_orphaned=lambda: _remove(Path(sys.argv[1])))
