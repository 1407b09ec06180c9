"""Tells whether two files hold the same recording, whatever their encoding, level or pitch.

A fingerprint is the song's level in half-semitone bands, 5 frames a second, less the mean of the
last and next seconds and less the mean over bands: what is left is how the sound moves, which
neither level nor equaliser nor codec changes much. A pitch shift moves it along the bands, a cut
at the start along time, so two fingerprints are compared by their normalised cross-correlation
over both. That decides; a descriptor that is blind to both shifts (magnitudes of the
two-dimensional Fourier transform of 15-second windows; T. Bertin-Mahieux & D. Ellis, Large-scale
cover song recognition using the 2D Fourier transform magnitude, ISMIR 2012) says which few pairs
are worth it.

Measured on 300 songs of Emotify: different ones correlate at most 0.25, two remixes of one song
0.45, copies as 24 kbit/s Opus, 32 kbit/s MP3 or AAC, 6 dB apart, up to 2 semitones apart, all cut
at both ends, at least 0.77.
A copy played faster or slower (other than by a pitch shift that keeps the tempo) is not recognised.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SAME_RECORDING = 0.55  # correlation above which two songs are one

LOWEST_HZ = 200.0
SEMITONES = 52  # up to 4.0 kHz, which every codec keeps
BANDS_A_SEMITONE = 2
NUM_BANDS = SEMITONES * BANDS_A_SEMITONE
LARGEST_SHIFT = 5  # bands: 2 semitones and a half
N_FFT, HOP_LENGTH = 4096, 1024  # 186 ms and 46 ms at 22,050 Hz
FRAME_HOPS = 4
FRAME_WEIGHTS = (1, 2, 3, 4, 4, 3, 2, 1)  # over two frames: half a frame of delay costs little
FLOOR_DB = 60.0  # below the loudest band of the song
LARGEST_DB = 12.0  # one silence must not outweigh a minute of music
MEAN_FRAMES = 17
MIN_OVERLAP_FRAMES = 43  # 8 s, or the whole of a shorter song
WINDOW_FRAMES, WINDOW_HOP = 80, 40
QUEFRENCIES, RATES = 20, 24  # of the descriptor


@dataclass(frozen=True)
class Match:
    """How alike two songs are at best, and where.

    semitones: how much higher the second sounds. lag_seconds: how much later in the first the
    second begins.
    """

    similarity: float
    semitones: float
    lag_seconds: float


def fingerprint(waveform: np.ndarray, sample_rate: int) -> Tensor:
    """Movement of the sound in bands; int16 or float (time,) -> (band, frame), in dB."""
    sound = torch.from_numpy(np.asarray(waveform, dtype=np.float32))
    sound = functional.pad(sound, (0, max(0, N_FFT + 8 * HOP_LENGTH - len(sound))))
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        sound, N_FFT, HOP_LENGTH, window=window, center=False, return_complex=True
    )
    power = _bank(sample_rate) @ spectrum.abs().square()
    weights = torch.tensor(FRAME_WEIGHTS, dtype=torch.float32)
    power = functional.conv1d(
        power[:, None], weights[None, None] / weights.sum(), stride=FRAME_HOPS
    )
    level = 10 * torch.log10(power[:, 0].clamp_min(1e-20))  # (band, frame)
    level = torch.maximum(level, level.max() - FLOOR_DB)
    half = MEAN_FRAMES // 2
    around = functional.pad(level[None], (half, half), mode="replicate")
    moving = level - functional.avg_pool1d(around, MEAN_FRAMES, stride=1)[0]
    return (moving - moving.mean(dim=0)).clamp(-LARGEST_DB, LARGEST_DB)


def _bank(sample_rate: int) -> Tensor:
    """Triangular bands of power, (band, bin); the lowest are as wide as a bin at least."""
    bins = np.fft.rfftfreq(N_FFT, 1 / sample_rate)
    step = 2 ** (1 / (12 * BANDS_A_SEMITONE))
    centre = LOWEST_HZ * step ** np.arange(NUM_BANDS)[:, None]
    below = np.minimum(centre / step, centre - bins[1])
    above = np.maximum(centre * step, centre + bins[1])
    weights = np.minimum((bins - below) / (centre - below), (above - bins) / (above - centre))
    weights = weights.clip(min=0)
    return torch.tensor(weights / weights.sum(axis=1, keepdims=True), dtype=torch.float32)


def descriptors(prints: Tensor) -> Tensor:
    """What neither a shift in time nor in pitch changes; (band, frame) -> (window, value)."""
    prints = functional.pad(prints, (0, max(0, WINDOW_FRAMES - prints.shape[1])))
    taper = torch.hann_window(NUM_BANDS)[:, None] * torch.hann_window(WINDOW_FRAMES)
    windows = prints.unfold(1, WINDOW_FRAMES, WINDOW_HOP).permute(1, 0, 2) * taper
    magnitude = torch.fft.rfft2(windows).abs()  # (window, quefrency, rate)
    # The sign of the quefrency tells rising from falling sounds; the mean over time is left out.
    kept = torch.cat([magnitude[:, :QUEFRENCIES], magnitude[:, 1 - QUEFRENCIES :]], dim=1)
    return kept[:, :, 1 : RATES + 1].sqrt().flatten(1)


def candidates(described: list[Tensor], num_nearest: int) -> list[tuple[int, int]]:
    """Pairs of songs worth a comparison: of each song the nearest ones, by its best window.

    Args:
        described: `descriptors` of each song.
    """
    num_tracks = len(described)
    num_nearest = min(num_nearest, num_tracks - 1)
    if num_nearest < 1:
        return []
    owner = torch.repeat_interleave(
        torch.arange(num_tracks), torch.tensor([len(windows) for windows in described])
    )
    everything = torch.cat(described)
    everything = (everything - everything.mean(dim=0)) / everything.std(dim=0).clamp_min(1e-9)
    everything = functional.normalize(everything, dim=1)
    pairs = set()
    for track in range(num_tracks):
        nearness = (everything[owner == track] @ everything.T).amax(dim=0)
        best = torch.full((num_tracks,), -torch.inf).scatter_reduce(0, owner, nearness, "amax")
        best[track] = -torch.inf
        pairs |= {tuple(sorted((track, other))) for other in best.topk(num_nearest)[1].tolist()}
    return sorted(pairs)


def compare(one: Tensor, other: Tensor, sample_rate: int) -> Match:
    """The best agreement of two fingerprints over shifts in pitch and time.

    They must overlap by half of the shorter one, and by 8 s if it is as long as that.
    """
    one, other = one.float(), other.float()
    num_one, num_other = one.shape[1], other.shape[1]
    size = 1 << (num_one + num_other - 1).bit_length()
    lags = torch.arange(-(num_other - 1), num_one)
    begin, end = lags.clamp_min(0), (lags + num_other).clamp_max(num_one)
    shorter = min(num_one, num_other)
    allowed = end - begin >= max(shorter / 2, min(MIN_OVERLAP_FRAMES, shorter))
    energy = _energy(one, begin, end) * _energy(other, begin - lags, end - lags)
    scale = energy.sqrt().clamp_min(1e-9)

    spectrum, other_spectrum = torch.fft.rfft(one, size), torch.fft.rfft(other, size).conj()
    best = Match(-1.0, 0.0, 0.0)
    for shift in range(-LARGEST_SHIFT, LARGEST_SHIFT + 1):  # band b of one is b + shift of other
        low, high = max(0, -shift), NUM_BANDS - max(0, shift)
        product = (spectrum[low:high] * other_spectrum[low + shift : high + shift]).sum(dim=0)
        agreement = torch.fft.irfft(product, size)[lags] / scale  # negative lags lie at the end
        agreement = torch.where(allowed, agreement, -1.0)
        similarity, place = agreement.max(dim=0)
        if float(similarity) > best.similarity:
            seconds = float(lags[place]) * FRAME_HOPS * HOP_LENGTH / sample_rate
            best = Match(float(similarity), shift / BANDS_A_SEMITONE, seconds)
    return best


def _energy(prints: Tensor, begin: Tensor, end: Tensor) -> Tensor:
    total = functional.pad(prints.square().sum(dim=0).cumsum(dim=0), (1, 0))
    return total[end] - total[begin]
