"""Waveforms to log-mel pictures, the front end of melodai's own networks."""

import math
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from melodai.config import FrontEndConfig
from melodai.errors import SettingError
from melodai.transforms.filter_bank import mel_edges, mel_filters
from melodai.transforms.resize import triangle_weights
from melodai.transforms.threads import run_all

POWER_FLOOR = 1e-10  # librosa's `amin`
RANGE_DB = 80.0  # shown below the loudest point of an example
SILENCE = 1e-20  # an example whose strongest band is below this is empty

# On the CPU the frames of a piece of work go through all stages a few at a time: frames, spectrum
# and a filter bank (1 MB each at 128 x 2048) stay in the core's cache, which is what makes it fast.
FRAMES_AT_ONCE = 128
FRAMES_PER_PIECE = 1024
# Mel bands are multiplied in groups, each with the part of the spectrum its triangles cover.
BANDS_AT_ONCE = 16
# On a device the examples of a batch are taken together as far as their spectra fit in this.
BYTES_AT_ONCE = 1 << 29


class SpectralChange(Protocol):
    """A change of the sound that costs nothing when it is made within the mel bank.

    Attributes:
        pitch_ratio: `(batch,)`, every frequency of an example is multiplied by it; None for 1.
        response: `(batch, n_fft // 2 + 1)`, factor on the power at each frequency of the recording,
            that is before the pitch is moved; None for 1.
    """

    @property
    def pitch_ratio(self) -> Tensor | None: ...
    @property
    def response(self) -> Tensor | None: ...


class _Group(NamedTuple):
    """Neighbouring mel bands and the frequencies they cover, in Fourier bins."""

    first: int
    last: int
    low: float
    high: float


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
        bins = edges * n_fft / sample_rate
        self._groups = [
            _Group(first, last, float(bins[first]), float(bins[last + 1]))
            for first in range(0, n_mels, BANDS_AT_ONCE)
            for last in [min(first + BANDS_AT_ONCE, n_mels)]
        ]
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
            waveform: `(batch, time)`, zero where an example has ended.
            num_samples: `(batch,)` int64, length of each example where they differ.
            draw: changes of pitch and of the frequency response.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            if self._works_in_pieces(waveform):
                power = self._power(waveform, num_samples, draw)
                return self._pictures_one_by_one(power, num_samples)
            spans = self._spans(waveform)
            return torch.cat([self._batch_pictures(*_rows(waveform, num_samples, draw, span))
                              for span in spans])  # fmt: skip

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
            return self._power(waveform, num_samples, draw).clamp(min=POWER_FLOOR).log10().mul(10)

    def num_frames(self, num_samples: int | Tensor) -> int | Tensor:
        """Frames of a waveform of that length."""
        return 1 + num_samples // self.hop_length

    # -- power of the mel bands, (batch, mel, frame) ------------------------------------------------

    def _works_in_pieces(self, waveform: Tensor) -> bool:
        return waveform.device.type == "cpu" and not waveform.requires_grad

    def _power(
        self, waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None
    ) -> Tensor:
        if self._works_in_pieces(waveform):
            return self._power_in_pieces(waveform, num_samples, draw)
        return torch.cat([self._batch_power(*_rows(waveform, num_samples, draw, span))
                          for span in self._spans(waveform)])  # fmt: skip

    def _power_in_pieces(
        self, waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None
    ) -> Tensor:
        batch, time = waveform.shape
        lengths = [time] * batch if num_samples is None else num_samples.tolist()
        shift = None if draw is None else draw.pitch_ratio
        ratios = [1.0] * batch if shift is None else shift.tolist()
        power = waveform.new_zeros(batch, self.n_mels, self.num_frames(time), dtype=torch.float32)
        if draw is None or (shift is None and draw.response is None):
            banks = [_doubled(self.filters)] * batch
        else:
            banks = run_all(lambda i: _doubled(self._bank(draw, slice(i, i + 1))[0]), range(batch))

        def fill(piece: tuple[int, int]) -> None:
            i, first = piece
            last = min(first + FRAMES_PER_PIECE, self.num_frames(lengths[i]))
            wave = self._excerpt(waveform[i, : lengths[i]], first, last)
            self._fill_power(power[i, :, first:last], wave, banks[i], ratios[i])

        run_all(fill, [(i, first) for i in range(batch)
                       for first in range(0, self.num_frames(lengths[i]), FRAMES_PER_PIECE)])  # fmt: skip
        return power

    def _fill_power(self, power: Tensor, wave: Tensor, bank: Tensor, ratio: float) -> None:
        """`power (mel, frame)` of the samples `wave` under those frames, by a doubled bank."""
        bins = self.n_fft // 2 + 1
        frames = torch.empty(FRAMES_AT_ONCE, self.n_fft)
        spectrum = torch.empty(FRAMES_AT_ONCE, bins, dtype=torch.complex64)
        spans = [(group.first, group.last, 2 * max(0, math.floor(group.low / ratio)),
                  2 * min(bins, math.ceil(group.high / ratio) + 1)) for group in self._groups]  # fmt: skip
        for excerpt, target in zip(
            wave.unfold(0, self.n_fft, self.hop_length).split(FRAMES_AT_ONCE),
            power.split(FRAMES_AT_ONCE, dim=1),
            strict=True,
        ):
            count = len(excerpt)
            torch.mul(excerpt, self.window, out=frames[:count])
            torch.fft.rfft(frames[:count], out=spectrum[:count])
            # re² and im² are added up by the product with a bank that holds each weight twice.
            squares = torch.view_as_real(spectrum[:count]).flatten(1).square_()
            for first, last, low, high in spans:
                if low < high:
                    torch.mm(bank[first:last, low:high], squares[:, low:high].T,
                             out=target[first:last])  # fmt: skip

    def _excerpt(self, wave: Tensor, first: int, last: int) -> Tensor:
        """The samples under the frames `first` to `last`, zeros where they reach beyond the ends."""
        start = first * self.hop_length - self.n_fft // 2
        stop = (last - 1) * self.hop_length + self.n_fft - self.n_fft // 2
        inside = wave[max(0, start) : stop].float()
        return F.pad(inside, (max(0, -start), stop - max(0, start) - len(inside)))

    def _batch_power(
        self, waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None
    ) -> Tensor:
        padded = F.pad(waveform.float(), (self.n_fft // 2, self.n_fft - self.n_fft // 2))
        count = self.num_frames(waveform.shape[1])
        frames = padded.unfold(1, self.n_fft, self.hop_length)[:, :count] * self.window
        power = torch.fft.rfft(frames).abs().square()  # (batch, frame, bin)
        power = self._bank(draw, slice(None)) @ power.mT
        if num_samples is None:
            return power
        return power * self._is_inside(num_samples, count)[:, None]

    def _is_inside(self, num_samples: Tensor, count: int) -> Tensor:
        """`(batch,) -> (batch, frame)`: whether the example has that frame."""
        frame = torch.arange(count, device=num_samples.device)
        return frame < self.num_frames(num_samples)[:, None]

    def _bank(self, draw: SpectralChange | None, rows: slice) -> Tensor:
        """Each example's mel bank, `(batch, mel, bin)`, with its changes of pitch and response."""
        bank = self.filters[None]
        if draw is not None and draw.pitch_ratio is not None:
            ratio = draw.pitch_ratio[rows, None].float()
            bank = mel_filters(ratio * self.frequencies, self.edges)
        if draw is not None and draw.response is not None:
            bank = bank * draw.response[rows, None].float()
        return bank

    def _spans(self, waveform: Tensor) -> list[slice]:
        batch, time = waveform.shape
        step = max(1, BYTES_AT_ONCE // (4 * self.n_fft * self.num_frames(time)))
        return [slice(first, first + step) for first in range(0, batch, step)]

    # -- pictures, (batch, 1, image_size, image_size) -----------------------------------------------

    def _pictures_one_by_one(self, power: Tensor, num_samples: Tensor | None) -> Tensor:
        batch, _, count = power.shape
        counts = [count] * batch if num_samples is None else self.num_frames(num_samples).tolist()
        size = (self.image_size, self.image_size)
        pictures = power.new_empty(batch, 1, *size)

        def draw_picture(i: int) -> None:
            values = _relative_decibels(power[i, :, : counts[i]], dim=(0, 1))
            pictures[i] = F.interpolate(values[None, None], size, mode="bilinear", antialias=True)[
                0
            ]

        run_all(draw_picture, range(batch))
        return pictures

    def _batch_pictures(
        self, waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None
    ) -> Tensor:
        values = _relative_decibels(self._batch_power(waveform, num_samples, draw), dim=(1, 2))
        if num_samples is None:
            num_samples = torch.full((1,), waveform.shape[1], device=waveform.device)
        weights = triangle_weights(self.num_frames(num_samples), values.shape[2], self.image_size)
        return (self.rows @ (values @ weights))[:, None]


def _relative_decibels(power: Tensor, dim: tuple[int, int]) -> Tensor:
    """-1 at 80 dB below the maximum over `dim` and under it, 1 at the maximum."""
    top = power.amax(dim, keepdim=True).clamp(min=SILENCE)
    scaled = (power / top).clamp_(min=10 ** (-RANGE_DB / 10))
    return scaled.log10_().mul_(20 / RANGE_DB).add_(1)


def _doubled(bank: Tensor) -> Tensor:
    """`(mel, bin) -> (mel, 2 * bin)`, each weight twice in a row."""
    return bank.repeat_interleave(2, dim=1)


def _rows(
    waveform: Tensor, num_samples: Tensor | None, draw: SpectralChange | None, rows: slice
) -> tuple[Tensor, Tensor | None, SpectralChange | None]:
    if draw is not None:
        draw = _Rows(*(None if v is None else v[rows] for v in (draw.pitch_ratio, draw.response)))
    return waveform[rows], None if num_samples is None else num_samples[rows], draw


class _Rows(NamedTuple):
    pitch_ratio: Tensor | None
    response: Tensor | None
