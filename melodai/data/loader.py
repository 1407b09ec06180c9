"""Batches of segments, the same ones whatever the number of processes and threads.

All that is random in a step comes from one generator seeded by (seed, epoch, step) and is drawn for
the whole global batch; each process then takes its rows.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from melodai.data.prefetch import prefetch
from melodai.data.segments import Segment, evaluation_windows, training_window
from melodai.errors import SettingError


class Draw(Protocol):
    """The augmentation's random draw for a batch, as far as the loader reads it."""

    tempo: Tensor  # (batch,)

    def rows(self, rows: slice) -> "Draw":
        """The draw for some of the examples."""
        ...


class Waveforms(Protocol):
    """Where samples come from, see `waveforms`."""

    is_resident: bool
    num_samples: Sequence[int]

    def gather(self, segments: Sequence[Segment]) -> Tensor: ...


class Batch(NamedTuple):
    """Segments of songs.

    Attributes:
        waveform: (batch, time) int16, padded with zeros at the end to the longest.
        num_samples: (batch,) int64, without the padding.
        track: (batch,) int64, index of the track.
        draw: the augmentation's draw for these rows; None in evaluation.
        step: position of the batch in the epoch.
        segments: where the rows come from.
    """

    waveform: Tensor
    num_samples: Tensor
    track: Tensor
    draw: Draw | None
    step: int
    segments: tuple[Segment, ...]


def batch_seed(seed: int, *where: int | str) -> int:
    """A seed of 63 well-mixed bits for one place of a run, such as (epoch, step)."""
    digest = hashlib.blake2b(repr((seed, *where)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class TrainingBatches:
    """Random segments of the training songs, epoch by epoch.

    Every global batch is full: the last one of an epoch is filled up from the epoch's start.

    Args:
        tracks: indices of the training songs.
        segment_samples: None is the whole song.
        batch_size: of all processes together.
        draw: makes the augmentation's draw for the global batch from a generator.

    Raises:
        SettingError: the batch cannot be shared evenly by the processes.
    """

    def __init__(
        self,
        waveforms: Waveforms,
        tracks: Sequence[int],
        *,
        segment_samples: int | None,
        batch_size: int,
        segments_per_track: int,
        seed: int,
        draw: Callable[[torch.Generator], Draw],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise SettingError(
                f"--batch-size is {batch_size}, which {world_size} processes cannot share evenly"
            )
        self._waveforms = waveforms
        self._tracks = list(tracks)
        self._segment_samples = segment_samples
        self._batch_size = batch_size
        self._segments_per_track = segments_per_track
        self._seed = seed
        self._draw = draw
        local = batch_size // world_size
        self._rows = slice(rank * local, (rank + 1) * local)
        self.seconds_waiting = 0.0

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self._tracks) * self._segments_per_track // self._batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `first_step` on; close it (or use it up) to end its thread.

        `seconds_waiting` grows by the time in which the caller had to wait for data.
        """
        order = self._order(epoch)
        batches = (
            self._batch(order, epoch, step) for step in range(first_step, self.steps_per_epoch)
        )
        if self._waveforms.is_resident:
            yield from batches
            return
        batches = prefetch(batches)
        try:
            while True:
                started = time.perf_counter()
                batch = next(batches, None)
                self.seconds_waiting += time.perf_counter() - started
                if batch is None:
                    return
                yield batch
        finally:
            batches.close()

    def _order(self, epoch: int) -> list[int]:
        """Track of each example of the epoch, all batches full."""
        generator = torch.Generator().manual_seed(batch_seed(self._seed, epoch, "order"))
        count = len(self._tracks) * self._segments_per_track
        shuffled = torch.randperm(count, generator=generator).tolist()
        return [
            self._tracks[shuffled[position % count] % len(self._tracks)]
            for position in range(self.steps_per_epoch * self._batch_size)
        ]

    def _batch(self, order: list[int], epoch: int, step: int) -> Batch:
        generator = torch.Generator().manual_seed(batch_seed(self._seed, epoch, step))
        places = torch.rand(self._batch_size, generator=generator, dtype=torch.float64)[self._rows]
        draw = self._draw(generator).rows(self._rows)
        tracks = order[step * self._batch_size : (step + 1) * self._batch_size][self._rows]
        segments = []
        for track, tempo, u in zip(tracks, draw.tempo.tolist(), places.tolist(), strict=True):
            length = self._waveforms.num_samples[track]
            segments.append(
                Segment(track, *training_window(length, self._segment_samples, tempo, u))
            )
        return _gather(self._waveforms, segments, draw, step)


def evaluation_batches(
    waveforms: Waveforms,
    tracks: Sequence[int],
    *,
    segment_samples: int | None,
    batch_size: int,
) -> Iterator[Batch]:
    """Fixed windows over whole songs, in the order of the tracks; the last batch may be smaller."""
    segments = [
        Segment(track, *window)
        for track in tracks
        for window in evaluation_windows(waveforms.num_samples[track], segment_samples)
    ]
    batches = (
        _gather(waveforms, segments[start : start + batch_size], None, start // batch_size)
        for start in range(0, len(segments), batch_size)
    )
    return batches if waveforms.is_resident else prefetch(batches)


def _gather(
    waveforms: Waveforms, segments: Sequence[Segment], draw: Draw | None, step: int
) -> Batch:
    return Batch(
        waveform=waveforms.gather(segments),
        num_samples=torch.tensor([segment.num_samples for segment in segments]),
        track=torch.tensor([segment.track for segment in segments]),
        draw=draw,
        step=step,
        segments=tuple(segments),
    )
