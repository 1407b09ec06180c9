"""Level and silence of a song: measured while it is decoded, known when it is whole.

A song's loudness is the level that its loudest three seconds keep: no click raises it, and no
length of silence lowers it. What stays far below it is not listened to; the rest is kept as int16
at one scale, so that neither a loud file is clipped nor a quiet one starved.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from melodai.errors import AudioError

FRAME_SECONDS = 0.1
MIN_SECONDS = 3.0
SILENCE_DBFS = -75.0  # the loudness of a file that is silent altogether
QUIET_DBFS = -65.0  # that of one of which 16 bits keep little
SILENCE_DB = -55.0  # below the song's loudness
SILENCE_SECONDS = 2.0  # less is a rest
MARGIN_SECONDS = 0.1  # kept on either side of a silence
OFFSET_SECONDS = 1.1  # over which an offset is averaged: it may drift, and bass is no offset
PEAK = 16384  # of the int16 samples
MOST_CREST = 200.0  # peaks above so many times the loudness are damage, and cut off


class Meter:
    """Measures a sound, `(time,)` float32, in frames of 0.1 s."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.frame_samples = max(1, round(FRAME_SECONDS * sample_rate))
        self.num_samples = 0
        self._means: list[np.ndarray] = []
        self._powers: list[np.ndarray] = []
        self._peaks: list[np.ndarray] = []

    def watch(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same samples in blocks of whole frames, but for the last block."""
        left = np.empty(0, np.float32)
        for piece in pieces:
            block = np.concatenate([left, piece])
            whole = len(block) // self.frame_samples * self.frame_samples
            block, left = block[:whole], block[whole:]
            if whole:
                self._measure(block.reshape(-1, self.frame_samples))
                yield block
        if len(left):
            self._measure(left[None])
            yield left

    def _measure(self, frames: np.ndarray) -> None:
        self.num_samples += frames.size
        means = frames.mean(axis=1)
        centred = frames - means[:, None]
        self._means.append(means)
        self._powers.append(np.einsum("ft,ft->f", centred, centred) / frames.shape[1])
        self._peaks.append(np.maximum(centred.max(axis=1), -centred.min(axis=1)))

    def plan(self) -> "Plan":
        """What of the sound is kept, and how.

        Raises:
            AudioError: it is silent, or less than 3 s of it is not.
        """
        means, powers, peaks = map(np.concatenate, (self._means, self._powers, self._peaks))
        if self.num_samples < MIN_SECONDS * self.sample_rate:
            raise AudioError(f"{_shown(self.num_samples / self.sample_rate)} s long {_NEEDED}")
        count = round(MIN_SECONDS / FRAME_SECONDS)
        loud = float(np.partition(powers, -count)[-count])
        floor = 10 ** (SILENCE_DBFS / 10)
        if loud < floor:
            seconds = FRAME_SECONDS * np.count_nonzero(powers >= floor)
            but = f" but for {_shown(seconds)} s {_NEEDED}" if seconds else ""
            raise AudioError(f"silent (below {SILENCE_DBFS:g} dBFS){but}")
        plan = Plan(
            silences=self._silences(powers <= loud * 10 ** (SILENCE_DB / 10)),
            num_samples=self.num_samples,
            frame_samples=self.frame_samples,
            scale=PEAK / min(float(peaks.max()), MOST_CREST * math.sqrt(loud)),
            offsets=_borders(means),
            is_quiet=loud < 10 ** (QUIET_DBFS / 10),
        )
        seconds = plan.num_kept / self.sample_rate
        if seconds < MIN_SECONDS:
            raise AudioError(f"silent but for {_shown(seconds)} s {_NEEDED}")
        return plan

    def _silences(self, is_silent: np.ndarray) -> list[tuple[int, int]]:
        """Start and end in samples of the stretches that are not listened to."""
        margin = round(MARGIN_SECONDS / FRAME_SECONDS)
        edges = np.flatnonzero(np.diff(is_silent, prepend=False, append=False))
        found = []
        for start, end in edges.reshape(-1, 2).tolist():
            if (end - start) * FRAME_SECONDS >= SILENCE_SECONDS:
                first = start + margin if start else 0
                last = end - margin if end < len(is_silent) else end
                found.append((first * self.frame_samples, last * self.frame_samples))
        return [(start, min(end, self.num_samples)) for start, end in found]


_NEEDED = f"(at least {MIN_SECONDS:g} s are needed)"


class Plan:
    """Makes int16 samples of the sound that was measured, without its silences.

    Attributes:
        silences: start and end in samples.
        frame_samples: blocks are to be whole frames, but for the last.
        num_kept: samples that are left.
        is_quiet: the sound is so faint that it may be coarse.
    """

    def __init__(
        self, *, silences: list[tuple[int, int]], num_samples: int, frame_samples: int,
        scale: float, offsets: np.ndarray, is_quiet: bool,
    ) -> None:  # fmt: skip
        self.silences, self.is_quiet = silences, is_quiet
        self.num_kept = num_samples - sum(end - start for start, end in silences)
        self.frame_samples, self._scale, self._offsets = frame_samples, scale, offsets
        self._num_samples = num_samples

    def apply(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The sound that was measured, block by block -> int16 blocks `(time,)`."""
        ends = [0, *(place for silence in self.silences for place in silence), self._num_samples]
        kept = list(zip(ends[::2], ends[1::2], strict=True))
        position = 0
        for block in blocks:
            samples = self._at_level(block, position)
            for start, end in kept:
                part = samples[max(0, start - position) : max(0, end - position)]
                if len(part):
                    yield part
            position += len(block)

    def _at_level(self, block: np.ndarray, position: int) -> np.ndarray:
        size = self.frame_samples
        first, count = position // size, -(-len(block) // size)
        borders = self._offsets[first : first + count + 1].astype(np.float32)
        places = np.arange(size, dtype=np.float32) / size
        offset = borders[:-1, None] + np.diff(borders)[:, None] * places  # (frame, time)
        samples = block - offset.reshape(-1)[: len(block)]
        samples *= np.float32(self._scale)
        np.clip(np.rint(samples, out=samples), -32768, 32767, out=samples)
        return samples.astype(np.int16)


def _borders(means: np.ndarray) -> np.ndarray:
    """The offset at the borders of frames, `(frame,) -> (frame + 1,)`."""
    width = round(OFFSET_SECONDS / FRAME_SECONDS)
    padded = np.pad(means, width // 2, mode="edge")
    smooth = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    ends = np.pad(smooth, 1, mode="edge")
    return (ends[1:] + ends[:-1]) / 2


def _shown(seconds: float) -> float:
    return math.floor(10 * seconds) / 10  # 2.98 s must not read as 3.0 s
