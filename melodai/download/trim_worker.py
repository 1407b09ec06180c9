"""The child process that cuts songs (`python -m melodai.download.trim_worker`).

What came from the web is opened here and nowhere else: a file made to crash or to hang a decoder
ends this process and not the program. See `melodai.data.decoders` for what is said.
"""

import sys
from pathlib import Path

from melodai.audio import Tags
from melodai.data.decoder_worker import Heartbeat, serve
from melodai.data.decoders import run_jobs
from melodai.download.trim import Trimmed, trim
from melodai.errors import AudioError

WORKER = (sys.executable, "-P", "-m", "melodai.download.trim_worker")


def trim_in_child(source: Path, target: Path, seconds: float | None) -> Trimmed:
    """`trim` in a process of its own.

    Raises:
        AudioError: as `trim`; or the file crashed or hung the process, twice.
    """
    job = {"source": str(source.absolute()), "target": str(target.absolute()), "seconds": seconds}
    [(_, answer)] = run_jobs([job], num_decoders=1, command=WORKER)
    if "failure" in answer:
        raise AudioError(answer["failure"])
    return Trimmed(Path(answer["path"]), answer["how"], answer["length"], Tags(**answer["tags"]))


def process(job: dict, heartbeat: Heartbeat) -> dict:
    """The values of a `Trimmed`, or `failure`, the reason why there is none."""
    try:
        done = trim(Path(job["source"]), Path(job["target"]), job["seconds"], heartbeat)
    except AudioError as error:
        return {"failure": str(error)}
    except OSError as error:
        return {"failure": f"cannot be cut: {error.strerror or error}"}
    except MemoryError:
        return {"failure": "it needs too much memory"}
    return {
        "path": str(done.path),
        "how": done.how,
        "length": done.seconds,
        "tags": done.tags._asdict(),
    }


if __name__ == "__main__":
    serve(process)
