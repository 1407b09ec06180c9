"""Mel filter banks by the definitions that the published front ends use."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Scale = Literal["slaney", "htk"]

# Slaney's scale: linear up to 1 kHz at 200/3 Hz a mel, then 27 mels for a factor of 6.4.
_BREAK_HZ, _BREAK_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27


def hz_to_mel(hz: np.ndarray, scale: Scale) -> np.ndarray:
    """Frequencies in Hz on a mel scale."""
    hz = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return 1127.0 * np.log1p(hz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz * 3 / 200, above)


def mel_to_hz(mel: np.ndarray, scale: Scale) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return 700.0 * np.expm1(mel / 1127.0)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * 200 / 3, above)


def mel_bank(
    *,
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    scale: Scale,
    area_norm: bool = True,
    triangles_in: Literal["hz", "mel"] = "hz",
) -> Tensor:
    """Triangles over the bins of a spectrum, `(bin, mel)`.

    Args:
        area_norm: triangles of unit area in Hz (librosa's "slaney" norm) instead of height 1.
        triangles_in: where the sides are straight; "mel" is Kaldi's and TensorFlow's way.

    Example:
        >>> mel_bank(sample_rate=16000, n_fft=512, n_mels=96, f_min=0, f_max=8000,
        ...          scale="slaney").shape
        torch.Size([257, 96])
    """
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    ends = hz_to_mel([f_min, f_max], scale)
    corners_mel = np.linspace(ends[0], ends[1], n_mels + 2)
    corners_hz = mel_to_hz(corners_mel, scale)
    corners, points = corners_hz, bins
    if triangles_in == "mel":
        corners, points = corners_mel, hz_to_mel(bins, scale)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rise = (points[:, None] - left) / (centre - left)
    fall = (right - points[:, None]) / (right - centre)
    bank = np.maximum(0, np.minimum(rise, fall))
    if area_norm:
        bank *= 2 / (corners_hz[2:] - corners_hz[:-2])
    return torch.from_numpy(bank).float()
