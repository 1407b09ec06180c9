"""Variants of a sound that two networks of different sample rates hear alike.

A teacher must be asked anew about every change of a sound, so the change is made once, in the
spectrum of the whole window, and handed out at each network's own sample rate.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from melodai.transforms.base import chosen, uniform
from melodai.transforms.response import Equalizer, EqualizerParameters

LEVEL = 0.1  # root mean square of a variant; the networks do not depend on it
MARGIN_SECONDS = 0.1  # computed on both sides and cut off: a spectrum of a piece is circular
SILENCE = 1e-8


class VariantParameters(NamedTuple):
    """Of each example.

    Attributes:
        speed: `(batch, 2)`, of the window and of the one mixed into it; 2 is twice as fast and an
            octave higher.
        share: `(batch,)`, of the window in the mixture, by amplitude; 1 where it stands alone.
        equalizer: tone controls of the mixture.
    """

    speed: Tensor
    share: Tensor
    equalizer: EqualizerParameters


class Variants:
    """Random speed, tone controls and mixture with a second sound.

    Args:
        seconds: length of a variant.
        sample_rate: of the sources, in Hz.
        max_speed: the window is played at 1/max_speed to max_speed times its speed.
        equalizer_db: largest boost or cut.
        mix_probability: share of the windows that another one is mixed into.
        min_share: of the quieter sound in a mixture, by amplitude.

    Source: the settings are those of a first distillation of musicnn into the residual CNN; that
    teacher and student must hear the same is Beyer et al., "Knowledge distillation: a good teacher
    is patient and consistent", CVPR 2022.
    """

    def __init__(
        self,
        *,
        seconds: float,
        sample_rate: int,
        max_speed: float,
        equalizer_db: float,
        mix_probability: float,
        min_share: float = 0.35,
    ) -> None:
        self.seconds, self.sample_rate, self.max_speed = seconds, sample_rate, max_speed
        self.mix_probability, self.min_share = mix_probability, min_share
        self._equalizer = Equalizer(max_db=equalizer_db)
        self._total_seconds = seconds + 2 * MARGIN_SECONDS
        num_bins = round(self._total_seconds * sample_rate) // 2 + 1
        self._frequencies = torch.arange(num_bins) / self._total_seconds

    def sample(self, batch_size: int, generator: torch.Generator) -> VariantParameters:
        """Parameters on the host."""
        octaves = torch.tensor(self.max_speed).log2().item()
        speed = uniform(-octaves, octaves, (batch_size, 2), generator).exp2()
        share = uniform(self.min_share, 1 - self.min_share, batch_size, generator)
        is_mixed = chosen(self.mix_probability, batch_size, generator)
        equalizer = self._equalizer.sample(batch_size, generator)
        return VariantParameters(speed, torch.where(is_mixed, share, 1.0), equalizer)

    def unchanged(self, batch_size: int) -> VariantParameters:
        """Parameters that leave the sound as it is."""
        zeros = torch.zeros(batch_size, Equalizer.num_nodes)
        equalizer = EqualizerParameters(torch.zeros(batch_size, dtype=torch.bool), zeros)
        return VariantParameters(torch.ones(batch_size, 2), torch.ones(batch_size), equalizer)

    def source_samples(self, speed: float) -> int:
        """Samples of the source that a variant at this speed is made from."""
        return next_fast_len(round(self._total_seconds * self.sample_rate * speed))

    def apply(
        self,
        sources: Sequence[tuple[Tensor, Tensor | None]],
        parameters: VariantParameters,
        rates: Sequence[int],
    ) -> list[Tensor]:
        """The same variants at several sample rates, each `(batch, seconds * rate)`.

        Args:
            sources: of each example the window and the one mixed into it, `(time,)` float32, each
                `source_samples` of its speed long; None where the window stands alone.
            rates: in Hz, none above the sample rate of the sources.
        """
        spectrum = torch.zeros(len(sources), len(self._frequencies), dtype=torch.complex64)
        for row, share, (first, second) in zip(spectrum, parameters.share, sources, strict=True):
            _add(row, first, share)
            if second is not None:
                _add(row, second, 1 - share)
        spectrum *= self._equalizer.response(parameters.equalizer, self._frequencies).sqrt()
        return [self._waveform(spectrum, rate) for rate in rates]

    def _waveform(self, spectrum: Tensor, rate: int) -> Tensor:
        total = round(self._total_seconds * rate)
        margin = round(MARGIN_SECONDS * rate)
        waveform = torch.fft.irfft(spectrum[:, : total // 2 + 1], n=total)
        waveform = waveform[:, margin : margin + round(self.seconds * rate)]
        level = waveform.square().mean(1, keepdim=True).sqrt()
        return waveform * (LEVEL / level.clamp(min=SILENCE))


def _add(spectrum: Tensor, waveform: Tensor, share: Tensor) -> None:
    """Adds a sound, brought to unit level, to the spectrum of a window `(bin,)`.

    A window n times as long has the same bins, n times as close: squeezed to the window's length,
    it is that much faster and higher.
    """
    own = torch.fft.rfft(waveform)[: len(spectrum)]
    own[0] = 0  # a direct current is not heard
    norm = torch.view_as_real(own).square().sum().sqrt().clamp(min=SILENCE)
    spectrum[: len(own)] += own * (share / norm)
