"""Features made by hand, and the classifiers of scikit-learn that go with them.

None of them moves with the level of a recording.
"""

from collections.abc import Callable
from typing import NamedTuple

import librosa
import numpy as np
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from baselines.base import power_spectrum, resample
from baselines.mel import mel_bank
from melodai.errors import SettingError

SAMPLE_RATE = 22050
N_FFT, HOP_LENGTH = 2048, 512
N_MELS = 128
# Below the low-pass of the usual codecs: a class must not be told by how its files were made.
F_MAX = 8000.0
RANGE_DB = 80.0
PERCENTILES = (10, 50, 90)


class Features(NamedTuple):
    """Named numbers of one song: `values` float32 `(feature,)`."""

    names: tuple[str, ...]
    values: np.ndarray


def log_mel_statistics(waveform: np.ndarray, sample_rate: int) -> Features:
    """Mean, deviation and percentiles of each mel band's decibels, and of their changes.

    Decibels are relative to the song's loudest point and cut 80 below it.

    Args:
        waveform: `(time,)` float32.
    """
    sound = _at_own_rate(waveform, sample_rate)
    bank = mel_bank(
        sample_rate=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, f_min=0, f_max=F_MAX, scale="slaney"
    )
    power = power_spectrum(sound, torch.hann_window(N_FFT), N_FFT, HOP_LENGTH, pad="constant")[0]
    decibels = _relative_decibels((power @ bank).numpy())  # (frame, mel)
    changes = np.diff(decibels, axis=0, append=decibels[-1:])
    parts = {
        "mean": decibels.mean(0),
        "std": decibels.std(0),
        **{f"p{p}": np.percentile(decibels, p, axis=0) for p in PERCENTILES},
        "delta_std": changes.std(0),
        "delta_abs": np.abs(changes).mean(0),
    }
    return _joined({f"mel_{name}": values for name, values in parts.items()})


def acoustic_descriptors(waveform: np.ndarray, sample_rate: int) -> Features:
    """MFCC, chroma, spectral contrast and shape, onsets and tempo, summed up over a song.

    Args:
        waveform: `(time,)` float32.
    """
    sound = _at_own_rate(waveform, sample_rate)[0].numpy()
    level = float(np.abs(sound).max())
    sound = sound / level if level > 0 else sound
    framing = {"n_fft": N_FFT, "hop_length": HOP_LENGTH}
    magnitude = np.abs(librosa.stft(sound, **framing))
    power = magnitude**2
    mel = librosa.feature.melspectrogram(S=power, sr=SAMPLE_RATE, n_mels=N_MELS, fmax=F_MAX)
    decibels = _relative_decibels(mel)
    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=20)
    onsets = librosa.onset.onset_strength(S=decibels, sr=SAMPLE_RATE)
    loudness = _relative_decibels(librosa.feature.rms(S=magnitude) ** 2)
    in_time = {
        "mfcc": mfcc,
        "mfcc_delta": np.diff(mfcc, axis=1, append=mfcc[:, -1:]),
        "chroma": librosa.feature.chroma_stft(S=power, sr=SAMPLE_RATE, tuning=0.0),
        "contrast": librosa.feature.spectral_contrast(S=magnitude, sr=SAMPLE_RATE, n_bands=5),
        "centroid": librosa.feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE),
        "bandwidth": librosa.feature.spectral_bandwidth(S=magnitude, sr=SAMPLE_RATE),
        "flatness": librosa.feature.spectral_flatness(S=magnitude),
        "loudness": loudness,
        "onset": onsets[None],
    }
    summed_up = {}
    for name, values in in_time.items():
        summed_up[f"{name}_mean"] = values.mean(1)
        summed_up[f"{name}_std"] = values.std(1)
    tempo = librosa.feature.tempo(onset_envelope=onsets, sr=SAMPLE_RATE, hop_length=HOP_LENGTH)
    return _joined({**summed_up, "tempo": np.log2(np.maximum(tempo, 1.0) / 120)})


FEATURES: dict[str, Callable[[np.ndarray, int], Features]] = {
    "log-mel-statistics": log_mel_statistics,
    "acoustic-descriptors": acoustic_descriptors,
}


def support_vectors(C: float = 3.0) -> Pipeline:
    """Standardised features and an RBF-SVM whose classes weigh the same."""
    return make_pipeline(StandardScaler(), SVC(C=C, class_weight="balanced"))


def with_probabilities(classifier: Pipeline, folds: int = 3) -> CalibratedClassifierCV:
    """The same classifier, fitted on all songs, with probabilities learned on held-out folds."""
    return CalibratedClassifierCV(classifier, ensemble=False, cv=folds)


def majority() -> DummyClassifier:
    """Always the commonest mood of the training songs."""
    return DummyClassifier(strategy="prior")


def chance(seed: int = 0) -> DummyClassifier:
    """A mood drawn as often as the training songs have it."""
    return DummyClassifier(strategy="stratified", random_state=seed)


def _at_own_rate(waveform: np.ndarray, sample_rate: int) -> torch.Tensor:
    """`(1, time)`, long enough for one frame.

    Raises:
        SettingError: not `(time,)`, or empty.
    """
    if waveform.ndim != 1 or len(waveform) == 0:
        raise SettingError(f"a waveform of shape {waveform.shape}; (time,) is needed")
    sound = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))[None]
    sound = resample(sound, sample_rate, SAMPLE_RATE)
    return torch.nn.functional.pad(sound, (0, max(0, N_FFT - sound.shape[1])))


def _relative_decibels(power: np.ndarray) -> np.ndarray:
    """0 at the maximum, -80 from there on; silence is -80 throughout."""
    top = max(float(power.max()), 1e-20)
    return 10 * np.log10(np.maximum(power / top, 10 ** (-RANGE_DB / 10)))


def _joined(parts: dict[str, np.ndarray]) -> Features:
    names = tuple(f"{name}_{i}" for name, values in parts.items() for i in range(len(values)))
    return Features(names, np.concatenate(list(parts.values())).astype(np.float32))
