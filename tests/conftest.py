"""Sounds and audio files made for the tests: `from tests.conftest import sine, write_audio`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import numpy as np
import pytest

CODECS = {
    ".mp3": "libmp3lame",
    ".flac": "flac",
    ".ogg": "vorbis",
    ".opus": "libopus",
    ".wav": "pcm_s16le",
    ".aiff": "pcm_s16be",
    ".m4a": "aac",
    ".aac": "aac",
}
FORMATS = {".m4a": "ipod", ".aac": "adts"}


def sine(
    seconds: float, frequency_hz: float = 440.0, sample_rate: int = 22050, level: float = 0.5
) -> np.ndarray:
    """A tone, float32 (time,)."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


def noise(
    seconds: float, seed: int = 0, sample_rate: int = 22050, level: float = 0.2
) -> np.ndarray:
    """White noise of the given standard deviation, float32 (time,), within ±1."""
    generator = np.random.default_rng(seed)
    samples = level * generator.standard_normal(round(seconds * sample_rate))
    return np.clip(samples, -1, 1).astype(np.float32)


def clicks(
    seconds: float, at_seconds: Sequence[float], sample_rate: int = 22050, level: float = 0.9
) -> np.ndarray:
    """Silence with impulses of 1 ms, float32 (time,)."""
    samples = np.zeros(round(seconds * sample_rate), np.float32)
    for start in at_seconds:
        first = round(start * sample_rate)
        samples[first : first + max(1, sample_rate // 1000)] = level
    return samples


def write_audio(
    path: Path,
    samples: np.ndarray,
    sample_rate: int = 22050,
    *,
    codec: str | None = None,
    bit_rate: int | None = None,
    **tags: str,
) -> Path:
    """Encodes samples into a file of the kind its suffix says.

    Args:
        samples: float in ±1, (time,) or (channel, time).
        codec: another encoder than the usual one of the suffix, such as "pcm_f32le".
        tags: artist="...", album="...", title="...".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.atleast_2d(np.asarray(samples, np.float32))
    codec = codec or CODECS[path.suffix.lower()]
    if codec == "vorbis" and len(samples) == 1:
        samples = samples.repeat(2, axis=0)  # FFmpeg's own encoder knows nothing but stereo
    layouts = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
    layout = layouts[len(samples)]
    with av.open(str(path), "w", format=FORMATS.get(path.suffix.lower())) as container:
        options = {"strict": "experimental"} if codec == "vorbis" else {}
        stream = container.add_stream(codec, rate=sample_rate, layout=layout, options=options)
        if bit_rate:
            stream.bit_rate = bit_rate
        container.metadata.update(tags)
        stream.metadata.update(tags)
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate = sample_rate
        wanted = stream.codec_context
        wanted.open()
        resampler = av.AudioResampler(
            wanted.format, wanted.layout, wanted.sample_rate, frame_size=wanted.frame_size or None
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def mood_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder per mood with short songs of noise, each of its own artist."""

    def make(
        moods: Sequence[str] = ("energetic", "peaceful", "emotional"),
        songs: int = 4,
        seconds: float = 4.0,
        suffix: str = ".flac",
    ) -> Path:
        for number, mood in enumerate(moods):
            for song in range(songs):
                seed = 1000 * number + song
                write_audio(
                    tmp_path / "songs" / mood / f"{mood}{song}{suffix}",
                    noise(seconds, seed, 8000),
                    8000,
                    artist=f"{mood} artist {song}",
                    title=f"song {song}",
                )
        return tmp_path / "songs"

    return make
