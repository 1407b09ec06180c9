"""The child process that decodes songs into files of samples (`-m melodai.predict.worker FOLDER`).

The protocol is that of `data.decoders`. A job names the song, the file to write into the folder,
the rate, and for how long the parent waits for a sign of life. The song is written as it is
decoded, so that its length costs no memory.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from melodai.audio import SongReader
from melodai.data.decoder_worker import WRITE_SECONDS, Heartbeat, serve
from melodai.errors import AudioError

BYTES_AT_ONCE = 1 << 20


def decode_to_file(job: dict, heartbeat: Heartbeat) -> dict:
    """Writes `job["target"]`, raw int16.

    Returns:
        `num_samples`, `artist` and `title`; or `failure`, why it cannot be listened to.
    """
    target = Path(job["target"])
    reader = SongReader(job["path"], job["sample_rate"])
    try:
        for number, piece in enumerate(_in_pieces(reader, heartbeat)):
            # A slow or busy disk is not a hanging decoder.
            heartbeat.expect(WRITE_SECONDS)
            _write(target, piece, "ab" if number else "wb")
            heartbeat.expect(job["stall_seconds"])
    except AudioError as error:
        reason = str(error)
    except MemoryError:
        reason = "needs too much memory"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    else:
        tags = reader.tags
        return {"num_samples": reader.num_samples, "artist": tags.artist, "title": tags.title}
    target.unlink(missing_ok=True)
    return {"failure": reason}


def _write(target: Path, piece: bytes, mode: str) -> None:
    try:
        with target.open(mode) as file:
            file.write(piece)
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
