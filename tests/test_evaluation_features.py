"""Acoustic features say what they claim of sounds that are known, and are computed once."""

import numpy as np
import pytest

from melodai.evaluation.features import FEATURES, library_features, song_features

RATE = 22050
TIME = np.arange(8 * RATE) / RATE
NAMES = list(FEATURES)


def clicks(per_minute):
    sound = np.zeros(len(TIME), dtype=np.float32)
    noise = np.random.default_rng(0).normal(size=400)
    for start in range(0, len(TIME) - 400, int(RATE * 60 / per_minute)):
        sound[start : start + 400] = noise * np.exp(-np.arange(400) / 80)
    return sound


def chord(*semitones):
    return sum(np.sin(2 * np.pi * 261.63 * 2 ** (step / 12) * TIME) for step in semitones)


def feature(sound, name):
    return song_features(sound, RATE)[NAMES.index(name)]


def test_a_tone_is_as_bright_as_its_frequency():
    assert feature(np.sin(2 * np.pi * 2000 * TIME), "brightness") == pytest.approx(2000, rel=0.05)


def test_clicks_have_their_tempo_and_are_percussive_where_a_chord_is_harmonic():
    assert feature(clicks(120), "tempo") == pytest.approx(120, rel=0.04)
    assert feature(clicks(120), "harmonic_to_percussive") < -6
    assert feature(chord(0, 4, 7), "harmonic_to_percussive") > 6


def test_major_and_minor_chords_are_told_apart():
    assert feature(chord(0, 4, 7, 12), "major_over_minor") > 0
    assert feature(chord(0, 3, 7, 12), "major_over_minor") < 0


def test_a_single_note_has_a_narrower_chroma_than_noise():
    noise = np.random.default_rng(0).normal(size=len(TIME))
    assert feature(chord(0), "chroma_entropy") < 2 < feature(noise, "chroma_entropy")
    assert feature(chord(0), "spectral_contrast") > feature(noise, "spectral_contrast")


def test_the_level_changes_nothing():
    sound = chord(0, 4, 7) * np.exp(-TIME) + clicks(90)
    assert song_features(sound * 0.01, RATE) == pytest.approx(song_features(sound, RATE), rel=1e-3)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_features_of_a_library_are_computed_once_and_read_back(tmp_path, num_workers):
    songs = []
    for index, sound in enumerate((chord(0), clicks(100))):
        path = tmp_path / f"{index}.npy"
        np.save(path, (sound[: 4 * RATE] * 8000).astype(np.int16))
        songs.append((f"key{index}", path))
    seen = []
    found = library_features(
        songs, RATE, tmp_path, num_workers=num_workers, on_progress=lambda *now: seen.append(now)
    )
    assert found.shape == (2, len(FEATURES)) and seen == [(1, 2), (2, 2)]
    for _, path in songs:
        path.unlink()
    assert np.array_equal(library_features(songs, RATE, tmp_path), found)
    assert not list(tmp_path.rglob("*.part"))
