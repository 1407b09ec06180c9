"""Occlusion: what the logit loses when a part of the sound is taken away."""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from melodai.transforms.axes import FeatureAxes
from melodai.transforms.filter_bank import hz_to_mel, mel_to_hz

OnProgress = Callable[[int, int], None]

# Of the short-time spectrum in which a waveform loses a part.
N_FFT, HOP_LENGTH = 2048, 512
HIGHEST_HZ = 16000.0


class Losses(NamedTuple):
    """Logit of the whole minus logit without the part; positive where it speaks for the mood.

    Attributes:
        values: `(band, column)`.
        over_hz: `(band,)`, without the band at all times.
        over_seconds: `(column,)`, without all bands.
    """

    values: np.ndarray
    over_hz: np.ndarray
    over_seconds: np.ndarray


def occlude_features(
    logit: Callable[[Tensor], Tensor],
    features: Tensor,
    baseline: Tensor,
    bands: np.ndarray,
    columns: np.ndarray,
    *,
    batch_size: int,
    on_progress: OnProgress = lambda done, total: None,
) -> Losses:
    """Sets cells of features to the baseline, one after the other.

    Args:
        logit: `(batch, 1, height, width) -> (batch,)`.
        features, baseline: `(1, 1, height, width)`.
        bands, columns: edges in rows and columns, `(band + 1,)` and `(column + 1,)`.
    """

    def without(band: slice, column: slice) -> Tensor:
        rest = features.clone()
        rest[:, :, band, column] = baseline[:, :, band, column]
        return rest

    return _losses(logit, features, without, bands, columns, batch_size, on_progress)


def occlude_waveform(
    logit: Callable[[Tensor], Tensor],
    waveform: Tensor,
    sample_rate: int,
    axes: FeatureAxes,
    *,
    batch_size: int,
    on_progress: OnProgress = lambda done, total: None,
) -> Losses:
    """Takes bands of frequency and spans of time out of the sound itself: works for every model.

    Args:
        logit: `(batch, time) -> (batch,)`.
        waveform: `(1, time)`.
        axes: edges of the parts.
    """
    window = torch.hann_window(N_FFT, device=waveform.device)
    spectrum = torch.stft(waveform, N_FFT, HOP_LENGTH, window=window, return_complex=True)
    bands = (axes.hz * N_FFT / sample_rate).round().astype(int)
    columns = (axes.seconds * sample_rate / HOP_LENGTH).round().astype(int)
    # What lies beyond the edges belongs to the outermost parts.
    bands[0], bands[-1] = 0, spectrum.shape[1]
    columns[0], columns[-1] = 0, spectrum.shape[2]

    def without(band: slice, column: slice) -> Tensor:
        rest = spectrum.clone()
        rest[:, band, column] = 0
        return torch.istft(rest, N_FFT, HOP_LENGTH, window=window, length=waveform.shape[1])

    return _losses(logit, waveform, without, bands, columns, batch_size, on_progress)


def waveform_axes(
    num_samples: int, sample_rate: int, *, num_bands: int, num_columns: int
) -> FeatureAxes:
    """Bands of equal width in mel, and spans of equal length."""
    highest = min(HIGHEST_HZ, sample_rate / 2)
    hz = mel_to_hz(np.linspace(0, hz_to_mel(highest), num_bands + 1))
    return FeatureAxes(hz, np.linspace(0, num_samples / sample_rate, num_columns + 1))


def _losses(
    logit: Callable[[Tensor], Tensor],
    whole: Tensor,
    without: Callable[[slice, slice], Tensor],
    bands: np.ndarray,
    columns: np.ndarray,
    batch_size: int,
    on_progress: OnProgress,
) -> Losses:
    rows = [slice(*edges) for edges in itertools.pairwise(bands)]
    spans = [slice(*edges) for edges in itertools.pairwise(columns)]
    everything = slice(None)
    parts = [(row, span) for row in rows for span in spans]
    parts += [(row, everything) for row in rows] + [(everything, span) for span in spans]
    found: list[float] = []
    with torch.inference_mode():
        top = logit(whole).item()
        for batch in _batches(parts, batch_size):
            found += logit(torch.cat([without(*part) for part in batch])).tolist()
            on_progress(len(found), len(parts))
    lost = top - np.array(found)
    cells, over_hz, over_seconds = np.split(
        lost, [len(rows) * len(spans), len(rows) * (len(spans) + 1)]
    )
    return Losses(cells.reshape(len(rows), len(spans)), over_hz, over_seconds)


def _batches(parts: list, size: int) -> Iterator[list]:
    for first in range(0, len(parts), size):
        yield parts[first : first + size]
