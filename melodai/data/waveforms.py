"""Gathers segments into batches of samples, from the cache's files or from a device's memory."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from melodai.data.excerpt import Samples
from melodai.data.segments import Segment
from melodai.data.store import CachedTrack
from melodai.environment import to_device

logger = logging.getLogger(__name__)

# The rest is for the network, its activations and the optimizer.
RESIDENT_SHARE = 0.5


def fill(samples: np.ndarray, entry: Samples, start: int = 0) -> None:
    """Fills an int16 array from `start` on; beyond its end the song is repeated from its start."""
    count = min(len(samples), entry.num_samples - start)
    entry.read_into(samples[:count], start)
    while count < len(samples):  # songs shorter than the window start at 0: doubling repeats them
        step = min(count, len(samples) - count)
        samples[count : count + step] = samples[:step]
        count += step


class CachedWaveforms:
    """Reads segments from the cache, each time anew: memory does not grow with the songs."""

    is_resident = False

    def __init__(self, entries: Sequence[Samples], *, pin_memory: bool = False) -> None:
        self.num_samples = [entry.num_samples for entry in entries]
        self._entries = entries
        self._pin_memory = pin_memory

    def gather(self, segments: Sequence[Segment]) -> Tensor:
        """(batch, time) int16, padded with zeros at the end to the longest segment."""
        longest = max(segment.num_samples for segment in segments)
        batch = torch.empty(len(segments), longest, dtype=torch.int16, pin_memory=self._pin_memory)
        for row, segment in zip(batch.numpy(), segments, strict=True):
            fill(row[: segment.num_samples], self._entries[segment.track], segment.start)
            row[segment.num_samples :] = 0
        return batch


class DeviceWaveforms:
    """Keeps all songs in the device's memory: an epoch then copies nothing.

    Songs shorter than the longest window are stored repeated, so that every segment is one piece of
    one long tensor.

    Args:
        longest_window: samples of the longest segment that will be asked for; None where segments
            are whole songs.
    """

    is_resident = True

    def __init__(
        self,
        entries: Sequence[CachedTrack],
        device: torch.device | str,
        *,
        longest_window: int | None,
    ) -> None:
        self.num_samples = [entry.num_samples for entry in entries]
        stored = [max(n, longest_window or 0) for n in self.num_samples]
        self._offsets = np.concatenate([[0], np.cumsum(stored)])
        # A row is read at the batch's longest length, also behind the last song.
        total = int(self._offsets[-1]) + max(stored)
        self._samples = torch.zeros(total, dtype=torch.int16, device=device)
        for entry, offset, length in zip(entries, self._offsets, stored, strict=False):
            song = np.empty(length, np.int16)
            fill(song, entry)
            self._samples[offset : offset + length] = torch.from_numpy(song).to(device)

    @staticmethod
    def fits(
        entries: Sequence[CachedTrack],
        device: torch.device | str,
        *,
        longest_window: int | None,
    ) -> bool:
        """Whether the songs take no more than half of the free memory of a CUDA device."""
        if torch.device(device).type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(torch.device(device))
        num_samples = sum(max(entry.num_samples, longest_window or 0) for entry in entries)
        return 2 * num_samples <= RESIDENT_SHARE * free

    def gather(self, segments: Sequence[Segment]) -> Tensor:
        """(batch, time) int16 on the device, zero-padded at the end to the longest segment."""
        device = self._samples.device
        for segment in segments:  # else a row would go on into the next song
            room = int(self._offsets[segment.track + 1] - self._offsets[segment.track])
            assert segment.start + segment.num_samples <= room, "longer than longest_window"
        lengths = torch.tensor([segment.num_samples for segment in segments])
        starts = torch.tensor([int(self._offsets[s.track]) + s.start for s in segments])
        longest = int(lengths.max())
        # A view whose row n is the window that starts at sample n; indexing copies the wanted rows.
        batch = self._samples.unfold(0, longest, 1)[to_device(starts, device)]
        is_padding = torch.arange(longest, device=device) >= to_device(lengths, device)[:, None]
        return batch.masked_fill_(is_padding, 0)


def open_waveforms(
    entries: Sequence[CachedTrack], device: torch.device, *, longest_window: int | None
) -> CachedWaveforms | DeviceWaveforms:
    """All songs in the GPU's memory where they fit, else read from the cache batch by batch."""
    if DeviceWaveforms.fits(entries, device, longest_window=longest_window):
        return DeviceWaveforms(entries, device, longest_window=longest_window)
    return CachedWaveforms(entries, pin_memory=device.type == "cuda")
