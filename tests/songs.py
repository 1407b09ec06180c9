"""Small made-up libraries: each mood is a kind of sound that a network can tell apart."""

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

RATE = 22050
KINDS = {"energetic": (3000.0, 0.5), "peaceful": (300.0, 0.02), "emotional": (900.0, 0.1)}

# Settings that make a run take seconds: small pictures, short segments.
QUICK = (
    "--segments-per-epoch",
    "0",
    "--segment-seconds",
    "3",
    "--image-size",
    "64",
    "--batch-size",
    "4",
    "--num-decoders",
    "1",
)


def write_wav(path: Path, waveform: np.ndarray, rate: int = RATE) -> Path:
    """16-bit mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def song(mood: str, seed: int, seconds: float = 4.0) -> np.ndarray:
    """A tone of the mood's pitch, a little off, in noise of the mood's strength."""
    random = np.random.default_rng(seed)
    frequency, noise = KINDS[mood]
    time = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * frequency * random.uniform(0.9, 1.1) * time)
    pulse = 0.6 + 0.4 * np.sin(2 * np.pi * random.uniform(1, 3) * time)
    return 0.4 * tone * pulse + 0.3 * noise * random.standard_normal(len(time))


def make_library(root: Path, songs_per_mood: int = 5, seconds: float = 4.0) -> Path:
    """`root/<mood>/<n>.wav`, every song different."""
    for index, mood in enumerate(KINDS):
        for number in range(songs_per_mood):
            seed = 1000 * index + number
            write_wav(root / mood / f"{number}.wav", song(mood, seed, seconds))
    return root


def melodai(*arguments: object, **options) -> subprocess.CompletedProcess:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "melodai.cli.main", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 300, **options}
    return subprocess.run(command, **options)
