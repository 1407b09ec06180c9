"""Acoustic features of a song: what the moods differ in that a person can name.

All are means over the song and do not depend on its level. Computed once for each file content
and kept beside the decoded songs.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np

from melodai.config import FrontEndConfig
from melodai.files import replacing

logger = logging.getLogger(__name__)

VERSION = 2  # a change of a feature or of the decoding needs a new one
LOUDNESS_RANGE_DB = 80.0
SILENCE_DB = -60.0  # below the loudest frame: frames that say nothing of brightness or pitch

FEATURES = {
    "brightness": "Brightness: spectral centroid [Hz]",
    "contrast": "Contrast: deviation of the log-mel picture [dB]",
    "tempo": "Tempo [beats a minute]",
    "harmonic_to_percussive": "Harmonic over percussive energy [dB]",
    "chroma_entropy": "Chroma: spread over pitch classes [bits]",
    "major_over_minor": "Chroma: major over minor [correlation]",
    "spectral_contrast": "Spectral contrast: peaks over valleys [dB]",
}

# How well each pitch class fits a key: C. Krumhansl & E. Kessler, Psychological Review 89 (1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def song_features(
    waveform: np.ndarray,
    sample_rate: int,
    *,
    n_fft: int = FrontEndConfig.n_fft,
    hop_length: int = FrontEndConfig.hop_length,
    n_mels: int = FrontEndConfig.n_mels,
) -> np.ndarray:
    """Features of a song in the order of `FEATURES`; (time,) -> (feature,) float64.

    Harmonic and percussive parts are separated by median filtering (D. FitzGerald, Harmonic/
    percussive separation using median filtering, DAFx 2010), through librosa.
    """
    import librosa

    sound = waveform.astype(np.float32) / max(float(np.abs(waveform).max()), 1e-9)
    magnitude = np.abs(librosa.stft(sound, n_fft=n_fft, hop_length=hop_length))
    power = np.square(magnitude)
    energy = power.sum(axis=0)
    heard = energy > energy.max() * 10 ** (SILENCE_DB / 10)
    mel = librosa.feature.melspectrogram(S=power, sr=sample_rate, n_mels=n_mels)
    picture = librosa.power_to_db(mel, ref=np.max, top_db=LOUDNESS_RANGE_DB)
    harmonic, percussive = librosa.decompose.hpss(magnitude)
    onsets = librosa.onset.onset_strength(S=librosa.power_to_db(mel, ref=np.max), sr=sample_rate)
    chroma = librosa.feature.chroma_stft(S=power, sr=sample_rate, n_fft=n_fft)[:, heard].mean(
        axis=1
    )
    share = chroma / max(float(chroma.sum()), 1e-9)
    contrast = librosa.feature.spectral_contrast(S=magnitude, sr=sample_rate)
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=sample_rate)
    tempo = librosa.feature.tempo(onset_envelope=onsets, sr=sample_rate, hop_length=hop_length)
    ratio = (np.square(harmonic).sum() + 1e-9) / (np.square(percussive).sum() + 1e-9)
    return np.array(
        [
            centroid[0, heard].mean(),
            picture.std(),
            tempo[0],
            10 * np.log10(ratio),
            -(share * np.log2(np.maximum(share, 1e-12))).sum(),
            _key_fit(share, MAJOR) - _key_fit(share, MINOR),
            contrast[:, heard].mean(),
        ],
        dtype=np.float64,
    )


def _key_fit(chroma: np.ndarray, profile: tuple[float, ...]) -> float:
    """Correlation with the profile's best of twelve keys; 0 for a flat chroma."""
    if chroma.std() < 1e-9:
        return 0.0
    return max(float(np.corrcoef(np.roll(profile, key), chroma)[0, 1]) for key in range(12))


def library_features(
    songs: Sequence[tuple[str, Path]],
    sample_rate: int,
    cache_dir: Path,
    *,
    num_workers: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Features of many songs, (song, feature); those known from earlier are read back.

    Args:
        songs: key of the content, and the .npy file of the int16 waveform, as the cache gives them.
        cache_dir: where the features are kept, one small file a song; several processes may
            write there at once.
        num_workers: processes that compute.
        on_progress: called with (songs done, songs in all).
    """
    folder = cache_dir / f"features-v{VERSION}-{sample_rate}"
    folder.mkdir(parents=True, exist_ok=True)
    known = {key: folder / f"{key}.npy" for key, _ in songs}
    jobs = {key: (path, known[key], sample_rate) for key, path in songs if not known[key].is_file()}
    done = len(known) - len(jobs)
    if jobs and num_workers > 1:
        # Not forked: the parent has threads, and librosa's compiled code does not survive a fork.
        context = get_context("spawn")
        with ProcessPoolExecutor(num_workers, context, initializer=_end_with_parent) as pool:
            for count, _ in enumerate(pool.map(_compute, jobs.values()), 1):
                on_progress(done + count, len(known))
    else:
        for count, job in enumerate(jobs.values(), 1):
            _compute(job)
            on_progress(done + count, len(known))
    return np.stack([np.load(known[key]) for key, _ in songs])


def _end_with_parent() -> None:
    """Ends this worker when the program is killed: the pool would leave it waiting forever."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _compute(job: tuple[Path, Path, int]) -> None:
    source, target, sample_rate = job
    features = song_features(np.load(source).astype(np.float32), sample_rate)
    with replacing(target) as file:
        np.save(file, features)
