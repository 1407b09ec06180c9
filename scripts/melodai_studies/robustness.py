"""How far a model's answer moves when only the file changes: its level, its codec, its bit rate."""

import csv
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch

from melodai.audio import decode
from melodai.checkpoint import BEST, load_checkpoint, load_model
from melodai.data.corpus import prepare
from melodai.data.segments import samples_of
from melodai.environment import versions
from melodai.models import MoodModel
from melodai.run import Run

GAINS_DB = (-12.0, -6.0, 6.0, 12.0)
HEADROOM_DB = 13.0  # every song is first lowered to this peak, so that no gain clips
CODECS = {  # name: (codec, container, kbit/s)
    "mp3 48 kbit/s": ("libmp3lame", "mp3", 48),
    "mp3 128 kbit/s": ("libmp3lame", "mp3", 128),
    "aac 64 kbit/s": ("aac", "adts", 64),
    "opus 32 kbit/s": ("libopus", "ogg", 32),
    "opus 64 kbit/s": ("libopus", "ogg", 64),
}


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What one change of the files did to a model's answers.

    Attributes:
        change: "gain +6 dB", "opus 64 kbit/s".
        mean_change, largest_change: of a probability, over songs and moods.
        answers_changed: share of the songs that are called another mood.
        num_tracks: songs.
    """

    change: str
    mean_change: float
    largest_change: float
    answers_changed: float
    num_tracks: int


def measure_robustness(
    run: Path, *, num_tracks: int | None = None, cache_dir: Path | None = None
) -> list[Shift]:
    """Test songs of a run, changed in level and through codecs, against the songs as they are.

    Args:
        num_tracks: only so many of the test songs; all if None.
    """
    begun, model = Run.open(run), load_model(run)
    corpus, split = begun.own(prepare(begun.data(cache_dir=cache_dir), model.sample_rate))
    songs = [corpus.entries[index].read() for index in split.test[:num_tracks]]
    segment = samples_of(begun.config.data.segment_seconds, model.sample_rate)
    answers = {name: [] for name, _ in changes(songs[0], model.sample_rate)}
    for song in songs:
        for name, changed in changes(song, model.sample_rate):
            answers[name].append(_answer(model, changed(), segment))
    original = np.array(answers.pop(ORIGINAL))
    return [_shift(name, original, np.array(other)) for name, other in answers.items()]


ORIGINAL = "as it is"


def changes(song: np.ndarray, sample_rate: int) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Each change by its name, made when called: int16 `(time,)` -> int16 `(time,)`.

    The song is lowered first so that no gain makes it clip.
    """
    peak = 10 ** (-HEADROOM_DB / 20) * 32767
    lowered = np.round(song * (peak / max(1, np.abs(song.astype(int)).max()))).astype(np.int16)
    yield ORIGINAL, lambda: lowered
    for gain_db in GAINS_DB:
        factor = 10 ** (gain_db / 20)
        yield f"gain {gain_db:+g} dB", lambda f=factor: np.round(lowered * f).astype(np.int16)
    for name, (codec, container, kbits) in CODECS.items():
        yield name, lambda c=codec, f=container, k=kbits: through(lowered, sample_rate, c, f, k)


def through(
    song: np.ndarray, sample_rate: int, codec: str, container: str, kbits: int
) -> np.ndarray:
    """The song encoded with a codec and decoded again, int16 `(time,)`."""
    rate = 48000 if codec == "libopus" else sample_rate
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"song.{'aac' if container == 'adts' else container}"
        with av.open(str(path), "w", format=container) as file:
            stream = file.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = 1000 * kbits
            resampler = av.AudioResampler(stream.format, "mono", rate, frame_size=0)
            frame = av.AudioFrame.from_ndarray(song[None], format="s16", layout="mono")
            frame.sample_rate = sample_rate
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                for packet in stream.encode(part):
                    file.mux(packet)
            for packet in stream.encode(None):
                file.mux(packet)
        return decode(path, sample_rate).waveform


@torch.inference_mode()
def _answer(model: MoodModel, song: np.ndarray, segment: int | None) -> np.ndarray:
    """Probabilities `(class,)` of the middle of a song."""
    length = segment or len(song)
    start = max(0, (len(song) - length) // 2)
    piece = np.resize(song[start : start + length], length).astype(np.float32) / 32768
    return model(torch.from_numpy(piece)[None]).double().softmax(1)[0].numpy()


def _shift(name: str, original: np.ndarray, other: np.ndarray) -> Shift:
    moved = np.abs(original - other)
    return Shift(
        change=name,
        mean_change=float(moved.mean()),
        largest_change=float(moved.max()),
        answers_changed=float((original.argmax(1) != other.argmax(1)).mean()),
        num_tracks=len(original),
    )


def write_robustness(shifts: list[Shift], run: Path, out: Path) -> None:
    """`robustness.csv` and a Markdown table beside it."""
    out.mkdir(parents=True, exist_ok=True)
    best = load_checkpoint(run / BEST)
    with (out / "robustness.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in dataclasses.fields(Shift)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(shift) for shift in shifts)
    rows = [
        f"| {s.change} | {s.mean_change:.4f} | {s.largest_change:.3f} | {s.answers_changed:.1%} |"
        for s in shifts
    ]
    head = [
        f"How far the probabilities of {best['arch']} (`{run.name}`) move when only the file "
        f"changes; the middle segment of {shifts[0].num_tracks} test songs. "
        f"Commit {versions()['commit']}; made by `python scripts/robustness.py RUN`.",
        "",
        "| change | mean change of a probability | largest | songs called another mood |",
        "|---|---|---|---|",
    ]
    (out / "robustness.md").write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
