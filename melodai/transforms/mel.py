"""Waveforms to log-mel pictures, the front end of melodai's own networks."""

import math
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from melodai.config import FrontEndConfig
from melodai.errors import SettingError
from melodai.transforms.axes import FeatureAxes
from melodai.transforms.base import per_example
from melodai.transforms.filter_bank import hz_to_mel, mel_edges, mel_filters, mel_to_hz
from melodai.transforms.resize import triangle_weights
from melodai.transforms.threads import run_all

Samples = TypeVar("Samples", int, Tensor)

POWER_FLOOR = 1e-10  # librosa's `amin`
RANGE_DB = 80.0  # shown below the loudest point of an example
SILENCE = 1e-20  # an example whose strongest band is below this is empty

# On the CPU the frames of a piece of work go through all stages a few at a time: frames, spectrum
# and a filter bank (1 MB each at 128 x 2048) stay in the core's cache, which is what makes it fast.
FRAMES_AT_ONCE = 128
FRAMES_PER_PIECE = 2048
# Mel bands are multiplied in groups, each with the part of the spectrum its triangles cover. Fewer
# groups multiply more zeros, more groups are more calls.
WEIGHTS_AT_ONCE = 1300
# On a device the examples of a batch are taken together as far as their spectra fit in this.
BYTES_AT_ONCE = 1 << 29


class SpectralChange(NamedTuple):
    """A change of the sound that costs nothing when it is made within the mel bank.

    Whatever has these two attributes will do, an `AugmentDraw` above all.

    Attributes:
        pitch_ratio: `(batch,)`, every frequency of an example is multiplied by it; None for 1.
        response: `(batch, n_fft // 2 + 1)`, factor on the power at each frequency of the recording,
            that is before the pitch is moved; None for 1.
    """

    pitch_ratio: Tensor | None = None
    response: Tensor | None = None


class _Group(NamedTuple):
    """Neighbouring mel bands and the frequencies they cover, in Fourier bins."""

    rows: slice
    low: float
    high: float

    def columns(self, ratio: float, num_bins: int) -> slice:
        """What they cover in a doubled bank of sounds moved up by the ratio."""
        low = min(num_bins, max(0, math.floor(self.low / ratio)))
        high = min(num_bins, math.ceil(self.high / ratio) + 1)
        return slice(2 * low, 2 * high)


class LogMel(nn.Module):
    """Log-mel spectrogram (librosa's definition) as a picture of fixed size.

    Centred frames of `n_fft` samples with a periodic Hann window, zeros beyond the ends, power,
    Slaney's mel bands with unit area. The decibels of each example are referenced to its own
    maximum and cut at -80 dB, so that its level does not matter; then they are resized, with
    antialiasing, from its own number of frames to the width of the picture. Row 0 is the lowest
    band. A value v stands for 40·(v - 1) dB: 1 is the example's maximum, -1 is 80 dB below it;
    silence is -1 throughout.

    It has no weights and no gradient flows through it on the CPU. Each example's picture is
    independent of the others in its batch. The arithmetic is float32 also under autocast.

    Shape: `(batch, time) -> (batch, 1, image_size, image_size)`.

    Raises:
        SettingError: the bands do not lie between 0 and half the sample rate.

    Example:
        >>> LogMel()(torch.randn(2, 22050)).shape
        torch.Size([2, 1, 224, 224])
    """

    def __init__(
        self,
        *,
        sample_rate: int = FrontEndConfig.sample_rate,
        n_fft: int = FrontEndConfig.n_fft,
        hop_length: int = FrontEndConfig.hop_length,
        n_mels: int = FrontEndConfig.n_mels,
        f_min: float = FrontEndConfig.f_min,
        f_max: float = FrontEndConfig.f_max,
        image_size: int = FrontEndConfig.image_size,
    ) -> None:
        super().__init__()
        if not 0 <= f_min < f_max <= sample_rate / 2:
            raise SettingError(
                f"mel bands from {f_min:g} to {f_max:g} Hz at a sample rate of {sample_rate} Hz; "
                f"--f-min must lie below --f-max, and that at most at {sample_rate / 2:g}"
            )
        self.sample_rate, self.n_fft, self.hop_length = sample_rate, n_fft, hop_length
        self.n_mels, self.image_size = n_mels, image_size
        edges = mel_edges(n_mels, f_min, f_max)
        self._groups = _grouped(edges * n_fft / sample_rate)
        frequencies = torch.arange(n_fft // 2 + 1).double() * sample_rate / n_fft
        rows = triangle_weights(torch.tensor([n_mels]), n_mels, image_size)[0].T
        self._buffer("window", torch.hann_window(n_fft, dtype=torch.float64))
        self._buffer("frequencies", frequencies)
        self._buffer("edges", torch.from_numpy(edges))
        self._buffer("filters", mel_filters(self.frequencies, self.edges))
        self._buffer("rows", rows)  # (row, mel)

    def _buffer(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.float().contiguous(), persistent=False)

    def forward(
        self,
        waveform: Tensor,
        num_samples: Tensor | None = None,
        draw: SpectralChange | None = None,
    ) -> Tensor:
        """Pictures.

        Args:
            waveform: `(batch, time)`.
            num_samples: `(batch,)` int64, length of each example where they differ; what lies
                beyond is not looked at.
            draw: changes of pitch and of the frequency response.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            if self._works_in_pieces(waveform):
                power = self._power_in_pieces(waveform, num_samples, draw)
                return self._pictures_one_by_one(power, num_samples)
            return torch.cat(
                [self._batch_pictures(*part) for part in self._parts(waveform, num_samples, draw)]
            )

    def decibels(
        self,
        waveform: Tensor,
        num_samples: Tensor | None = None,
        draw: SpectralChange | None = None,
    ) -> Tensor:
        """Decibels as librosa's `power_to_db(melspectrogram(...), ref=1.0, top_db=None)`.

        Shape: `(batch, time) -> (batch, mel, frame)`, one frame every `hop_length` samples.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            if self._works_in_pieces(waveform):
                power = self._power_in_pieces(waveform, num_samples, draw)
            else:
                parts = self._parts(waveform, num_samples, draw)
                power = torch.cat([self._batch_power(*part) for part in parts])
            return power.clamp(min=POWER_FLOOR).log10().mul(10)

    def num_frames(self, num_samples: Samples) -> Samples:
        """Frames of a waveform of that length."""
        return 1 + num_samples // self.hop_length

    def axes(self, num_samples: int) -> FeatureAxes:
        """Where the rows and columns of the picture of so many samples lie, to about half a cell.

        A mel band is said to reach to half way, in mel, to its neighbours' peaks, and a frame for
        half a hop to both sides of its centre.
        """
        size, last_mel = self.image_size, self.n_mels + 1
        corners = hz_to_mel(self.edges.cpu().double().numpy())
        row = 0.5 + np.arange(size + 1) * self.n_mels / size  # in bands; a peak is a corner
        mel = np.interp(row, np.arange(last_mel + 1), corners)
        column = np.arange(size + 1) * self.num_frames(num_samples) / size - 0.5  # in frames
        seconds = column * self.hop_length / self.sample_rate
        return FeatureAxes(mel_to_hz(mel), seconds.clip(0, num_samples / self.sample_rate))

    def _works_in_pieces(self, waveform: Tensor) -> bool:
        # An exported graph holds for any number of examples of any length: no loops over them.
        is_plain = not waveform.requires_grad and not torch.compiler.is_exporting()
        return waveform.device.type == "cpu" and is_plain

    def _bank(self, draw: SpectralChange | None, rows: slice) -> Tensor:
        """Each example's mel bank, `(batch, mel, bin)`, with its changes of pitch and response."""
        bank = self.filters[None]
        if draw is not None and draw.pitch_ratio is not None:
            ratio = draw.pitch_ratio[rows, None].float()
            bank = mel_filters(ratio * self.frequencies, self.edges)
        if draw is not None and draw.response is not None:
            bank = bank * draw.response[rows, None].float()
        return bank

    # -- on the CPU: pieces of an example, each within one core's cache ---------------------------

    def _power_in_pieces(
        self, waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None
    ) -> Tensor:
        """Power of the mel bands, `(batch, mel, frame)`, 0 where an example has ended."""
        batch, time = waveform.shape
        lengths = [time] * batch if num_samples is None else num_samples.tolist()
        ratios = [1.0] * batch
        if draw is not None and draw.pitch_ratio is not None:
            ratios = draw.pitch_ratio.tolist()
        if draw is None or (draw.pitch_ratio is None and draw.response is None):
            banks = [_doubled(self.filters)] * batch
        else:
            banks = run_all(lambda i: _doubled(self._bank(draw, slice(i, i + 1))[0]), range(batch))
        power = torch.zeros(batch, self.n_mels, self.num_frames(time))
        pieces = [
            (i, first)
            for i in range(batch)
            for first in range(0, self.num_frames(lengths[i]), FRAMES_PER_PIECE)
        ]

        def fill(piece: tuple[int, int]) -> None:
            i, first = piece
            last = min(first + FRAMES_PER_PIECE, self.num_frames(lengths[i]))
            groups = self._groups_of(banks[i], ratios[i])
            self._fill_power(power[i, :, first:last], waveform[i, : lengths[i]], first, groups)

        run_all(fill, pieces)
        return power

    def _groups_of(self, bank: Tensor, ratio: float) -> list[tuple[slice, slice, Tensor]]:
        """Bands, values of the spectrum, and weights of each group of a doubled bank."""
        num_bins = self.n_fft // 2 + 1
        spans = [(group.rows, group.columns(ratio, num_bins)) for group in self._groups]
        return [
            (rows, columns, bank[rows, columns])
            for rows, columns in spans
            if columns.start < columns.stop
        ]

    def _samples_under(self, waveform: Tensor, first: int, last: int) -> Tensor:
        """The samples of those frames of `(time,)`, zeros where they reach beyond the ends."""
        start = first * self.hop_length - self.n_fft // 2
        stop = start + (last - 1 - first) * self.hop_length + self.n_fft
        before, after = max(0, -start), max(0, stop - len(waveform))
        inside = waveform[max(0, start) : stop].float()
        return F.pad(inside, (before, after)) if before or after else inside

    def _fill_power(
        self,
        power: Tensor,
        waveform: Tensor,
        first: int,
        groups: list[tuple[slice, slice, Tensor]],
    ) -> None:
        """Fills in `(mel, frame)`, from the frame `first` of `waveform (time,)` on."""
        frames = torch.empty(FRAMES_AT_ONCE, self.n_fft)
        bands = torch.zeros(self.n_mels, FRAMES_AT_ONCE)
        products = [bands[rows] for rows, _, _ in groups]
        for target in power.split(FRAMES_AT_ONCE, dim=1):
            count = target.shape[1]
            samples = self._samples_under(waveform, first, first + count)
            windows = samples.unfold(0, self.n_fft, self.hop_length)
            windowed = torch.mul(windows, self.window, out=frames[:count])
            values = torch.view_as_real(torch.fft.rfft(windowed)).flatten(1).square_().T
            # re² and im² are added up by the product with a bank that holds each weight twice.
            if count < FRAMES_AT_ONCE:  # the last ones
                products = [bands[rows, :count] for rows, _, _ in groups]
            for (_, columns, weights), product in zip(groups, products, strict=True):
                torch.mm(weights, values[columns], out=product)
            target.copy_(bands[:, :count])
            first += count

    def _pictures_one_by_one(self, power: Tensor, num_samples: Tensor | None) -> Tensor:
        batch, _, count = power.shape
        counts = [count] * batch if num_samples is None else self.num_frames(num_samples).tolist()
        size = (self.image_size, self.image_size)
        pictures = torch.empty(batch, 1, *size)

        def fill(i: int) -> None:
            values = _relative_decibels(power[i : i + 1, None, :, : counts[i]])
            pictures[i] = F.interpolate(values, size, mode="bilinear", antialias=True)[0]

        run_all(fill, range(batch))
        return pictures

    # -- on a device: examples together -----------------------------------------------------------

    def _parts(
        self, waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None
    ) -> list[tuple[Tensor, Tensor, SpectralChange]]:
        """As many examples at once as memory is meant for."""
        batch, time = waveform.shape
        if num_samples is None:
            num_samples = torch.full((batch,), time, device=waveform.device)
        changes = (None, None) if draw is None else (draw.pitch_ratio, draw.response)
        if torch.compiler.is_exporting():
            return [(waveform, num_samples, SpectralChange(*changes))]
        step = max(1, BYTES_AT_ONCE // (4 * self.n_fft * self.num_frames(time)))
        return [
            (
                waveform[rows],
                num_samples[rows],
                SpectralChange(*(None if values is None else values[rows] for values in changes)),
            )
            for rows in (slice(first, first + step) for first in range(0, batch, step))
        ]

    def _batch_power(self, waveform: Tensor, num_samples: Tensor, draw: SpectralChange) -> Tensor:
        """Power of the mel bands, `(batch, mel, frame)`, 0 where an example has ended."""
        count = self.num_frames(waveform.shape[1])
        sample = torch.arange(waveform.shape[1], device=waveform.device)
        inside = waveform.float() * (sample < num_samples[:, None])
        padded = F.pad(inside, (self.n_fft // 2, self.n_fft - self.n_fft // 2))
        frames = padded.unfold(1, self.n_fft, self.hop_length)[:, :count] * self.window
        power = torch.fft.rfft(frames).abs().square()  # (batch, frame, bin)
        power = self._bank(draw, slice(None)) @ power.mT
        frame = torch.arange(count, device=waveform.device)
        return power * (frame < self.num_frames(num_samples)[:, None])[:, None]

    def _batch_pictures(
        self, waveform: Tensor, num_samples: Tensor, draw: SpectralChange
    ) -> Tensor:
        values = _relative_decibels(self._batch_power(waveform, num_samples, draw))
        counts = self.num_frames(num_samples)
        weights = triangle_weights(counts, values.shape[2], self.image_size)
        return (self.rows @ (values @ weights))[:, None]


def _grouped(corners: np.ndarray) -> list[_Group]:
    """Divides mel bands with these corners, in bins, into groups of about as many weights."""
    groups, first, num_mels = [], 0, len(corners) - 2
    for last in range(1, num_mels + 1):
        num_weights = (last - first) * (corners[last + 1] - corners[first])
        if num_weights > WEIGHTS_AT_ONCE or last == num_mels:
            low, high = float(corners[first]), float(corners[last + 1])
            groups.append(_Group(slice(first, last), low, high))
            first = last
    return groups


def _relative_decibels(power: Tensor) -> Tensor:
    """`(batch, ..., mel, frame)`: 1 at each example's maximum, -1 from 80 dB below it on."""
    top = power.flatten(1).amax(1).clamp(min=SILENCE)
    scaled = power / per_example(top, power)
    return scaled.clamp_(min=10 ** (-RANGE_DB / 10)).log10_().mul_(20 / RANGE_DB).add_(1)


def _doubled(bank: Tensor) -> Tensor:
    """`(mel, bin) -> (mel, 2 * bin)`, each weight twice in a row."""
    return bank.repeat_interleave(2, dim=1)
