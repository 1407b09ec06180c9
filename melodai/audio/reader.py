"""Decodes any audio file into what is heard of it: mono int16 at one rate and one level."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr

from melodai.audio.containers import check_is_file, containers, decoder_of, frames_of, sound_of
from melodai.audio.damage import Packets, has_lost_its_end, lost_seconds
from melodai.audio.downmix import Downmix
from melodai.audio.hearing import Hearing
from melodai.audio.level import QUIET_DBFS, Meter, Plan
from melodai.audio.tags import Tags, tags_of
from melodai.errors import AudioError

MAX_SECONDS = 12 * 3600.0  # 1.9 GB of int16 at 22,050 Hz: a longer one is no song
MAX_LEVEL = 2.0**32  # some write floats in the range of integers; beyond it they are damaged
MAX_DAMAGED_SHARE = 0.1
SAMPLE_RATES_HZ = (1_000, 768_000)
MAX_CHANNELS = 64
BLOCK_SAMPLES = 1 << 16  # frames hold about 1,000 samples: resampling each alone costs more time

_SCALES = {
    "u8": 1 / 128, "s16": 1 / 2**15, "s32": 1 / 2**31, "s64": 1 / 2**63, "flt": 1.0, "dbl": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Attributes:
        waveform: int16 (time,), mono, at one level for all songs, without their silences.
        hearing: what was heard of the file.
    """

    waveform: np.ndarray
    sample_rate: int
    tags: Tags
    hearing: Hearing = Hearing()


class SongReader:
    """Reads a file piece by piece: iterating gives blocks `(time,)`, mono float32.

    The channels are mixed (`downmix`) and resampled (soxr, high quality). Memory does not grow with
    the length of the file. Damaged packets are left out and counted. When the last block has come,
    `plan` says what of them is kept, and at which level.

    Args:
        sample_rate: of the blocks, in Hz.

    Attributes:
        tags: known when the first block has come.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int) -> None:
        self.path, self.sample_rate, self.tags = Path(path), sample_rate, Tags()
        self._meter = Meter(sample_rate)
        self._lost_seconds = 0.0
        self._remarks: dict[str, None] = {}

    def __iter__(self) -> Iterator[np.ndarray]:
        """The blocks.

        Raises:
            AudioError: as `decode` does; what is true of the whole file, by `plan`.
            OSError: it may not be read.
        """
        check_is_file(self.path)
        for block in self._meter.watch(self._pieces()):
            if self._meter.num_samples > MAX_SECONDS * self.sample_rate:
                raise AudioError(f"longer than {MAX_SECONDS / 3600:g} hours")
            yield block

    def _pieces(self) -> Iterator[np.ndarray]:
        total = damaged = 0
        for container in containers(self.path):
            if container is None:
                self._remark("damaged: a part cannot be opened")
                continue
            with container:
                stream = sound_of(container)
                self.tags = self.tags if any(self.tags) else tags_of(self.path, container, stream)
                packets = Packets()
                frames = frames_of(container, decoder_of(self.path, stream), packets)
                yield from resampled(frames, self.sample_rate, self._remark)
                self._lost_seconds += lost_seconds(self.path, container, packets)
                if has_lost_its_end(self.path, container):
                    self._remark("damaged: its end is missing")
                total, damaged = total + packets.total, damaged + packets.damaged
        if damaged > MAX_DAMAGED_SHARE * total:
            raise AudioError(f"damaged: {damaged} of {total} packets cannot be decoded")

    def _remark(self, words: str) -> None:
        self._remarks[words] = None

    def plan(self) -> tuple[Plan, Hearing]:
        """What of the blocks is kept, and what was heard.

        Raises:
            AudioError: nothing could be decoded; or it is silent, or shorter than 3 s.
        """
        return planned(self._meter, self._lost_seconds, tuple(self._remarks))


def decode(
    path: str | os.PathLike[str],
    sample_rate: int,
    *,
    on_progress: Callable[[], None] = lambda: None,
) -> Decoded:
    """Decodes a whole file, see `SongReader`; on the way it needs 6 bytes a sample.

    Args:
        sample_rate: of the result, in Hz.
        on_progress: called every few seconds of audio.

    Raises:
        AudioError: the file is missing, empty or not audio, cannot be decoded, holds NaN or
            infinite samples, is silent or shorter than 3 s.
    """
    reader, blocks = SongReader(path, sample_rate), []
    for block in reader:
        blocks.append(block)
        on_progress()
    plan, hearing = reader.plan()
    return Decoded(np.concatenate([*plan.apply(blocks)]), sample_rate, reader.tags, hearing)


def from_samples(
    samples: np.ndarray, sample_rate: int, wanted_rate: int
) -> tuple[np.ndarray, Hearing]:
    """Samples at hand, as if they had been decoded: int16 `(time,)` at the wanted rate.

    Args:
        samples: `(time,)` or `(channel, time)`, float or int16.

    Raises:
        AudioError: see `decode`.
    """
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or not 1 <= len(samples) <= MAX_CHANNELS:
        raise AudioError(f"samples of shape {samples.shape} are not (time,) or (channel, time)")
    if not samples.size:
        raise AudioError("there are no samples in it")
    scale = np.float32(_SCALES["s16"] if samples.dtype == np.int16 else 1)
    meter, remarks = Meter(wanted_rate), {}
    pieces = (
        _checked(samples[:, start : start + BLOCK_SAMPLES].astype(np.float32) * scale)
        for start in range(0, samples.shape[1], BLOCK_SAMPLES)
    )
    mono = _mono(pieces, len(samples), sample_rate, wanted_rate, remarks.setdefault)
    blocks = list(meter.watch(mono))
    plan, hearing = planned(meter, 0.0, tuple(remarks))
    return np.concatenate([*plan.apply(blocks)]), hearing


def planned(meter: Meter, lost_seconds: float, remarks: tuple[str, ...]) -> tuple[Plan, Hearing]:
    if not meter.num_samples:
        raise AudioError("nothing in it could be decoded")
    plan, rate = meter.plan(), meter.sample_rate
    remarks += (f"very quiet (below {QUIET_DBFS:g} dBFS)",) if plan.is_quiet else ()
    silences = tuple((start / rate, end / rate) for start, end in plan.silences)
    return plan, Hearing(plan.num_kept / rate, silences, lost_seconds, remarks)


def resampled(
    frames: Iterable[av.AudioFrame], sample_rate: int, remark: Callable[[str], None]
) -> Iterator[np.ndarray]:
    """Mono blocks at the wanted rate, float32 (time,)."""
    # Rate and channels are the frame's, not the header's: HE-AAC headers give half of the rate, and
    # files that were joined together change them on the way.
    kinds = itertools.groupby(
        frames, key=lambda frame: (frame.sample_rate, frame.layout.nb_channels)
    )
    for (rate, channels), group in kinds:
        low, high = SAMPLE_RATES_HZ
        if not low <= rate <= high:
            raise AudioError(f"a sample rate of {rate} Hz (from {low} to {high} can be used)")
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError(f"{channels} channels (up to {MAX_CHANNELS} can be used)")
        yield from _mono(_blocks(map(_samples, group)), channels, rate, sample_rate, remark)


def _mono(
    blocks: Iterable[np.ndarray], channels: int, rate: int, wanted_rate: int,
    remark: Callable[[str], None],
) -> Iterator[np.ndarray]:  # fmt: skip
    """Blocks `(channel, time)` of one rate -> `(time,)` at the wanted one."""
    downmix = Downmix(channels, rate)
    resampler = soxr.ResampleStream(rate, wanted_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield resampler.resample_chunk(downmix(block))
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)
    if downmix.is_out_of_phase:
        remark("channels in opposite phase")


def _blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples in fewer, longer pieces `(channel, time)`."""
    kept, num_samples = [], 0
    for piece in pieces:
        kept.append(piece)
        num_samples += piece.shape[1]
        if num_samples >= BLOCK_SAMPLES:
            yield _checked(np.concatenate(kept, axis=1))
            kept, num_samples = [], 0
    if kept:
        yield _checked(np.concatenate(kept, axis=1))


def _samples(frame: av.AudioFrame) -> np.ndarray:
    """`(channel, time)` float32, full scale ±1."""
    kind = frame.format.name.removesuffix("p")
    if kind not in _SCALES:
        raise AudioError(f"samples of type {frame.format.name} cannot be used")
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    samples = samples.astype(np.float32, copy=False)
    if kind in ("flt", "dbl"):
        return samples
    return (samples - 128 if kind == "u8" else samples) * np.float32(_SCALES[kind])


def _checked(block: np.ndarray) -> np.ndarray:
    most = max(block.max(initial=0), -block.min(initial=0))  # NaN comes through both
    if not np.isfinite(most):
        raise AudioError("it holds samples that are not finite numbers")
    if most > MAX_LEVEL:
        raise AudioError("damaged: it holds samples of absurd size")
    return block
