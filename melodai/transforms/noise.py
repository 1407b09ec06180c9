"""Background noise."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from melodai.transforms.base import WaveformTransform, chosen, uniform

# Power falls with frequency as 1/f to this: white, pink, brown.
SPECTRAL_SLOPES = (0.0, 1.0, 2.0)
LOOP_SAMPLES = 1 << 19  # 24 s at 22,050 Hz, long enough that nobody recognises it


class NoiseParameters(NamedTuple):
    """Of each example, `(batch,)`.

    Attributes:
        snr_db: level of the music over that of the noise, both as RMS.
        colour: index of `SPECTRAL_SLOPES`.
        offset: where in the loop of noise it starts.
        sign: 1 or -1.
    """

    active: Tensor
    snr_db: Tensor
    colour: Tensor
    offset: Tensor
    sign: Tensor


class Noise(WaveformTransform):
    """Adds white, pink or brown noise at a level relative to the music's own.

    The noise is taken from three prepared loops, which costs a tenth of drawing it anew.

    Args:
        probability: share of the examples changed.
        min_snr_db, max_snr_db: bounds of the signal-to-noise ratio.
    """

    def __init__(self, *, probability: float, min_snr_db: float, max_snr_db: float) -> None:
        self.probability, self.min_snr_db, self.max_snr_db = probability, min_snr_db, max_snr_db

    def sample(self, batch_size: int, generator: torch.Generator) -> NoiseParameters:
        return NoiseParameters(
            chosen(self.probability, batch_size, generator),
            uniform(self.min_snr_db, self.max_snr_db, batch_size, generator),
            torch.randint(len(SPECTRAL_SLOPES), (batch_size,), generator=generator),
            torch.randint(LOOP_SAMPLES, (batch_size,), generator=generator),
            1.0 - 2.0 * torch.randint(2, (batch_size,), generator=generator),
        )

    def change(self, x: Tensor, num_samples: Tensor, parameters: NoiseParameters) -> Tensor:
        rms = (torch.linalg.vector_norm(x, dim=1).square() / num_samples).sqrt()
        level = rms * torch.pow(10.0, -parameters.snr_db / 20) * parameters.sign
        # A window at every offset is only a view; indexing copies the one that was drawn.
        windows = noise_loops(x.device).unfold(1, min(x.shape[1], LOOP_SAMPLES), 1)
        noise = windows[parameters.colour, parameters.offset] * level[:, None]
        changed = x.clone()
        for piece in changed.split(LOOP_SAMPLES, dim=1):  # a song is longer than a loop
            piece += noise[:, : piece.shape[1]]
        return changed


@functools.lru_cache(maxsize=8)
def noise_loops(device: torch.device) -> Tensor:
    """Noise of RMS 1 in each colour, `(colour, 2 * LOOP_SAMPLES)`: a loop, twice."""
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft(torch.randn(LOOP_SAMPLES, generator=generator))
    spectrum[0] = 0
    # Level below 1/1000 of half the sample rate, lest all the power of brown noise lie there.
    frequency = torch.linspace(0, 1, len(spectrum)).clamp(min=1e-3)
    slopes = torch.tensor(SPECTRAL_SLOPES)[:, None]
    noise = torch.fft.irfft(spectrum * frequency ** (-slopes / 2), LOOP_SAMPLES)
    noise = noise / noise.square().mean(1, keepdim=True).sqrt()
    return noise.repeat(1, 2).to(device)
