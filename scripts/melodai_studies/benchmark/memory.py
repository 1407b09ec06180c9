"""Peak memory of training as the corpus grows."""

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np

SECONDS = 30
SAMPLE_RATE = 22050
MOODS = ("energetic", "peaceful", "emotional")


class PeakMemory(NamedTuple):
    """Of one training run.

    Attributes:
        corpus_mb: size of the decoded songs.
        peak_mb: largest resident memory of the training process.
    """

    num_songs: int
    corpus_mb: float
    peak_mb: float


def measure_memory(num_songs: int, growth: int = 10) -> list[PeakMemory]:
    """Trains on so many made songs of 30 s, and on `growth` times as many, each in its process.

    Raises:
        subprocess.CalledProcessError: the training failed; its own words are on stderr.
    """
    results = []
    for count in (num_songs, growth * num_songs):
        command = [sys.executable, __file__, str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peak_mb = json.loads(done.stdout.splitlines()[-1])["peak_mb"]
        results.append(PeakMemory(count, count * SECONDS * SAMPLE_RATE * 2 / 1e6, peak_mb))
    return results


def make_songs(folder: Path, num_songs: int) -> None:
    """A folder per mood with different noises as .wav files."""
    for index in range(num_songs):
        place = folder / MOODS[index % len(MOODS)]
        place.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(index).integers(-8000, 8000, SECONDS * SAMPLE_RATE, np.int16)
        with wave.open(str(place / f"{index}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(noise.tobytes())


def train_and_measure(num_songs: int) -> float:
    """Peak resident memory in MB of a short training on made songs, decoding included."""
    import melodai

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_songs(folder / "songs", num_songs)
        melodai.train(
            data=folder / "songs", cache_dir=folder / "cache", out=folder / "run",
            preset="smoke", arch="residual", device="cpu", num_decoders=1,
        )  # fmt: skip
    return peak_memory_mb()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage also counts the process that started this one
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


if __name__ == "__main__":
    peak_mb = train_and_measure(int(sys.argv[1]))
    sys.stdout.write(json.dumps({"peak_mb": round(peak_mb, 1)}) + "\n")
