"""What the moods of a library cost beside decoding it, in one run on the same cores."""

import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import av

from melodai.predict.predictor import Predictor
from melodai.predict.results import SongMood

RATE = 22050
MADE_RATE, MADE_BIT_RATE = 44100, 256_000


@dataclass(frozen=True)
class Cost:
    """Seconds of one way through all songs: by the clock, of this process, of its children."""

    wall: float
    own: float
    children: float


def decode(path: Path) -> int:
    """All samples, mono at 22,050 Hz; their number."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        container.streams.audio[0].codec_context.thread_count = 1
        frames = itertools.chain(container.decode(audio=0), [None])
        pieces = itertools.chain.from_iterable(map(resampler.resample, frames))
        return sum(piece.to_ndarray().size for piece in pieces)


def librosa_log_mel(path: Path) -> int:
    """What anyone pays who computes a log-mel with librosa."""
    import librosa

    samples, _ = librosa.load(path, sr=RATE)
    return librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=RATE)).size


def essentia_log_mel(path: Path) -> int:
    """Essentia's decoder and the input of its musicnn; the network itself is not counted."""
    from essentia import standard

    samples = standard.MonoLoader(filename=str(path), sampleRate=16000)()
    mel = standard.TensorflowInputMusiCNN()
    return sum(len(mel(frame)) for frame in standard.FrameGenerator(samples, 512, 256))


def make_songs(songs: Sequence[Path], folder: Path, count: int, minutes: float = 4) -> list[Path]:
    """Stereo songs of several others, as MP3 at 256 kbit/s and as FLAC, in turn."""
    source, made = itertools.cycle(songs), []
    for number in range(count):
        suffix, codec, kind = ((".mp3", "mp3", "s16p"), (".flac", "flac", "s16"))[number % 2]
        made.append(folder / f"{number}{suffix}")
        with av.open(str(made[-1]), "w") as container:
            stream = container.add_stream(codec, rate=MADE_RATE, layout="stereo")
            stream.bit_rate = MADE_BIT_RATE
            resampler = av.AudioResampler(kind, "stereo", MADE_RATE, frame_size=1152)
            left = round(minutes * 60 * MADE_RATE)
            while left > 0:
                for piece in _frames(next(source), resampler):
                    container.mux(stream.encode(piece))
                    left -= piece.samples
            container.mux(stream.encode(None))
    return made


def _frames(path: Path, resampler: av.AudioResampler) -> Iterator[av.AudioFrame]:
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            frame.pts = None
            yield from resampler.resample(frame)


def measure(songs: Sequence[Path], predictor: Predictor, rounds: int) -> dict[str, list[Cost]]:
    """Each way through all songs, in turn, with as many processes as `predictor.num_decoders`."""
    log_mel = essentia_log_mel if find_spec("essentia") else librosa_log_mel
    ways: dict[str, Callable[[], None]] = {
        "decoding": lambda: _in_processes(decode, songs, predictor.num_decoders),
        "melodai-predict": lambda: _predict(songs, predictor),
        log_mel.__name__.replace("_", " "): lambda: _in_processes(
            log_mel, songs, predictor.num_decoders
        ),
    }
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    log_mel(songs[0])  # imports, and compiles what it compiles
    for _ in range(rounds):
        for name, way in ways.items():
            before = _times()
            way()
            found[name].append(Cost(*(b - a for a, b in zip(before, _times(), strict=True))))
    return found


def _predict(songs: Sequence[Path], predictor: Predictor) -> None:
    failed = [a for a in predictor.predict_many(songs) if not isinstance(a, SongMood)]
    assert not failed, failed


def _in_processes(work: Callable[[Path], int], songs: Sequence[Path], count: int | None) -> None:
    # Forked: children that import this program first would pay for what they do not use.
    with ProcessPoolExecutor(count, mp_context=get_context("fork")) as pool:
        list(pool.map(work, songs))


def _times() -> tuple[float, float, float]:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time(), children.ru_utime + children.ru_stime


def table(name: str, num_songs: int, found: dict[str, list[Cost]]) -> str:
    """Medians over the rounds, in Markdown; ratios are taken within each round."""
    lines = [
        f"| {name}: {num_songs} songs | songs a second | to decoding | s | this process, s "
        "| its children, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for way, costs in found.items():
        pairs = zip(costs, found["decoding"], strict=True)
        ratio = statistics.median(cost.wall / base.wall for cost, base in pairs)
        wall, own, children = (
            statistics.median(getattr(cost, part) for cost in costs)
            for part in ("wall", "own", "children")
        )
        lines.append(
            f"| {way} | {num_songs / wall:.1f} | {ratio:.2f} | {wall:.2f} | {own:.2f} "
            f"| {children:.2f} |"
        )
    return "\n".join(lines) + "\n"


def report(songs: Sequence[Path], predictor: Predictor, *, made: int, rounds: int) -> str:
    """Tables of the songs as they are, and of long ones made from them."""
    parts = [table("as they are", len(songs), measure(songs, predictor, rounds))]
    if made:
        with tempfile.TemporaryDirectory() as folder:
            long = make_songs(songs, Path(folder), made)
            parts.append(table("of 4 minutes", made, measure(long, predictor, rounds)))
    return "\n".join(parts)
