"""Broken and strange audio files, and what the isolated decoders make of them.

python -m tests.fuzz_audio --count 1000 music/*.mp3    # a count of every outcome
"""

import argparse
import collections
import random
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melodai.data.decoders import WORKER, run_jobs
from melodai.data.store import Store
from tests.conftest import CODECS, noise, sine, write_audio

RATE = 22050
_MAGIC = {
    b"ID3": ".mp3", b"\xff\xfb": ".mp3", b"\xff\xf3": ".mp3", b"\xff\xf1": ".aac", b"fLaC": ".flac",
    b"OggS": ".ogg", b"RIFF": ".wav", b"FORM": ".aiff",
}  # fmt: skip
_STRANGE_SIZES = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x01\0\0\0")


def mutations(data: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` broken copies of a file, each with a name that says what was done to it.

    The kinds take turns, so that any `count` of a dozen or more has them all.
    """
    chance = random.Random(seed)
    suffix = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), ".m4a")
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        name = chance.choice([*_MAGIC.values(), ".m4a"]) if kind is _wrong_extension else suffix
        yield f"{number:04}-{kind.__name__.strip('_')}{name}", kind(data, chance)


def _truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def _short(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, 200)]


def _bit_flips(data: bytes, chance: random.Random) -> bytes:
    return _flipped(data, chance, 0, len(data), round(10 ** chance.uniform(0, 4)))


def _header_bit_flips(data: bytes, chance: random.Random) -> bytes:
    start, end = _header(data, chance)
    return _flipped(data, chance, start, end, chance.randrange(1, 30))


def _header(data: bytes, chance: random.Random) -> tuple[int, int]:
    """Where a header is: at the beginning, or at the end, as in MP4."""
    size = min(len(data), chance.choice((300, 1500)))
    return (0, size) if chance.random() < 0.6 else (len(data) - size, len(data))


def _flipped(data: bytes, chance: random.Random, start: int, end: int, count: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[chance.randrange(start, end)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _zeroed_blocks(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 10)):
        start = chance.randrange(len(data))
        length = min(chance.randrange(1, 5000), len(data) - start)
        changed[start : start + length] = bytes(length)
    return bytes(changed)


def _strange_size(data: bytes, chance: random.Random) -> bytes:
    """A number of the header that is far too large, or negative, or nothing."""
    first, end = _header(data, chance)
    start = chance.randrange(first, end - 4)
    return data[:start] + chance.choice(_STRANGE_SIZES) + data[start + 4 :]


def _wrong_extension(data: bytes, chance: random.Random) -> bytes:
    return data


def _zero_length(data: bytes, chance: random.Random) -> bytes:
    return b""


def _spliced(data: bytes, chance: random.Random) -> bytes:
    """Its own pieces in another order, some twice, some lost."""
    cuts = sorted(chance.randrange(len(data)) for _ in range(6))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return b"".join(chance.choices(pieces, k=8))


def _inserted(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + chance.randbytes(chance.randrange(1, 3000)) + data[start:]


def _deleted(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randrange(1, 3000) :]


def _noise_after_header(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(10, 400)
    return data[:start] + chance.randbytes(len(data) - start)


_KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncated, _bit_flips, _header_bit_flips, _zeroed_blocks, _strange_size, _wrong_extension,
    _spliced, _inserted, _deleted, _noise_after_header, _short, _zero_length,
)  # fmt: skip


def wav(samples: np.ndarray, sample_rate: int, kind: str = "i2") -> bytes:
    """A WAV file of float samples in ±1.

    Args:
        samples: (time, channel).
        kind: "u1", "i2", "i3", "i4" (whole numbers of so many bytes), "f4" or "f8".
    """
    size = int(kind[1])
    if kind[0] == "f":
        body = samples.astype(f"<{kind}").tobytes()
    elif kind == "u1":
        body = (samples * 127 + 128).astype("u1").tobytes()
    else:
        whole = (samples * (2 ** (8 * size - 1) - 1)).astype("<i8")
        body = whole[..., None].view("u1")[..., :size].tobytes()
    channels = samples.shape[1]
    layout = struct.pack(
        "<HHIIHH", 3 if kind[0] == "f" else 1, channels, sample_rate,
        sample_rate * channels * size, channels * size, 8 * size,
    )  # fmt: skip
    chunks = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def strange_wavs(seconds: float = 3.5) -> Iterator[tuple[str, bytes, bool]]:
    """Yields WAV files of unusual kinds: a name, the bytes, and whether they can be used."""
    for rate in (8_000, 11_025, 96_000, 192_000, 384_000):
        yield f"{rate}-hz.wav", wav(_tone(seconds, rate), rate), True
    for channels in range(1, 17):
        sound = np.repeat(_tone(seconds, RATE), channels, axis=1)
        yield f"{channels}-channels.wav", wav(sound, RATE), True
    for kind in ("u1", "i2", "i3", "i4", "f4", "f8"):
        yield f"{kind}.wav", wav(_tone(seconds, RATE), RATE, kind), True
    for rate in (0, 1, 999, 1_000_000, 2**31, 2**32 - 1):
        data = bytearray(wav(_tone(seconds, RATE), RATE))
        data[24:28] = struct.pack("<I", rate)
        yield f"{rate}-hz.wav", bytes(data), False
    for name, value in {"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf, "1e30": 1e30}.items():
        for kind in ("f4", "f8"):
            for place in (slice(None), slice(1000, 1001), slice(-1, None)):
                sound = _tone(seconds, RATE)
                sound[place] = value
                yield f"{name}-{kind}-{place.start}.wav", wav(sound, RATE, kind), False


def _tone(seconds: float, rate: int) -> np.ndarray:
    return sine(seconds, 440, rate)[:, None].astype(float)


def clips(folder: Path, seconds: float = 5.0) -> list[bytes]:
    """A short song in every format that can be written."""
    found = []
    for suffix in CODECS:
        rate = 48_000 if suffix == ".opus" else RATE
        path = folder / f"clip{suffix}"
        sound = noise(seconds, 1, rate) + sine(seconds, 300, rate)
        found.append(write_audio(path, sound, rate, artist="A", title="T").read_bytes())
    return found


@dataclass(frozen=True)
class Outcome:
    """What a decoder said of a file: no reason means that it can be used."""

    name: str
    reason: str | None
    seconds: float


def decode_all(
    files: Iterable[tuple[str, bytes]], folder: Path, *, num_decoders: int = 1
) -> list[Outcome]:
    """Has isolated decoders read the files; the times are right with one decoder."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "cache")
    store.prepare()
    paths: list[Path] = []
    for name, data in files:
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    common = {"folder": str(store.folder), "sample_rate": RATE}
    jobs = [{"path": str(path), **common} for path in paths]
    outcomes = []
    began = time.monotonic()
    for position, answer in run_jobs(jobs, num_decoders=num_decoders, command=WORKER):
        reason = answer.get("failure") or answer.get("fatal")
        if reason is None:
            result = store.open(answer["key"])
            reason = result if isinstance(result, str) else None
        now = time.monotonic()
        outcomes.append(Outcome(paths[position].name, reason, now - began))
        began = now
    return outcomes


def main() -> None:
    """Prints how often each outcome came, the slowest files, and the crashes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("songs", type=Path, nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals = [*clips(folder), *(path.read_bytes() for path in given.songs)]
        outcomes = decode_all(((n, d) for n, d, _ in strange_wavs()), folder / "strange")
        share = -(-max(0, given.count - len(outcomes)) // len(originals))
        for number, data in enumerate(originals):
            files = mutations(data, share, 1000 * given.seed + number)
            outcomes += decode_all(files, folder / str(number))
    reasons = collections.Counter(outcome.reason or "usable" for outcome in outcomes)
    for reason, number in reasons.most_common():
        print(f"{number:5}  {reason}")
    slowest = sorted(outcomes, key=lambda outcome: -outcome.seconds)[:5]
    print(f"{len(outcomes)} files; slowest:", [(o.name, round(o.seconds, 2)) for o in slowest])
    for outcome in outcomes:
        if "decoder" in (outcome.reason or ""):
            print("crash or hang:", outcome)


if __name__ == "__main__":
    main()
