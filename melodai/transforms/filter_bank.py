"""Slaney's mel filters at any frequencies: librosa's, and those of a sound moved in pitch."""

import numpy as np
import torch
from torch import Tensor

# Slaney, Auditory Toolbox (1998): linear below 1 kHz (200/3 Hz a mel), logarithmic above, 27 mels
# for a factor of 6.4.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(frequency_hz: float | np.ndarray) -> np.ndarray:
    """Slaney's mel scale."""
    hz = np.asarray(frequency_hz, dtype=np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: float | np.ndarray) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def mel_edges(n_mels: int, f_min: float, f_max: float) -> np.ndarray:
    """Corners of the triangles in Hz, `(n_mels + 2,)`.

    Band m rises from corner m, peaks at m + 1 and ends at m + 2.
    """
    return mel_to_hz(np.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2))


def mel_filters(frequencies: Tensor, edges: Tensor) -> Tensor:
    """Triangles of unit area evaluated at the given frequencies.

    Moving a sound up by the ratio p moves its power from f to p·f, so the filters of the moved
    sound are these at p·f: `mel_filters(p * bins, edges)` (Schlüter and Grill, ISMIR 2015).

    Args:
        frequencies: in Hz.
        edges: from `mel_edges`.

    Shape: `(..., bin)` and `(mel + 2,)` -> `(..., mel, bin)`.

    Example:
        >>> edges = torch.tensor(mel_edges(128, 0.0, 11025.0)).float()
        >>> mel_filters(torch.linspace(0, 11025, 1025), edges).shape
        torch.Size([128, 1025])
    """
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    height = 2 / (right - left)
    rise, fall = height / (centre - left), height / (right - centre)
    frequencies = frequencies[..., None, :]
    rising = torch.addcmul(-left * rise, frequencies, rise)
    falling = torch.addcmul(right * fall, frequencies, fall, value=-1)
    return torch.minimum(rising, falling).clamp_(min=0)
