"""Copies of a recording are recognised through codecs, levels, pitch and cuts; others are not."""

import importlib.util
import io
from itertools import combinations
from pathlib import Path

import av
import librosa
import numpy as np
import pytest

from melodai.audio import decode
from melodai.evaluation.fingerprint import (
    SAME_RECORDING,
    candidates,
    compare,
    descriptors,
    fingerprint,
)

RATE = 22050
NUM_SONGS = 8


def make_song(seed, seconds=24.0):
    """Notes of a scale at random times, with partials that fade, over a soft noise."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    song = 0.002 * random.normal(size=len(time))
    beat = random.uniform(0.2, 0.5)
    scale = random.choice([0, 2, 3, 4, 5, 7, 9, 10, 11], size=6, replace=False)
    for start in np.arange(0, seconds - 0.1, beat):
        if random.random() < 0.8:
            pitch = 220 * 2 ** ((random.choice(scale) + 12 * random.integers(0, 3)) / 12)
            since = time[int(start * RATE) :] - start
            fading = np.exp(-since * random.uniform(2, 8))
            partials = sum(np.sin(2 * np.pi * k * pitch * since) / k for k in (1, 2, 3, 4))
            song[int(start * RATE) :] += random.uniform(0.02, 0.08) * fading * partials
    return song.astype(np.float32)


@pytest.fixture(scope="module")
def songs():
    return [make_song(seed) for seed in range(NUM_SONGS)]


@pytest.fixture(scope="module")
def prints(songs):
    return [fingerprint(song, RATE) for song in songs]


def through_codec(song, folder, codec, container, rate, kbit):
    """The song as it is after encoding and decoding."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono", bit_rate=kbit * 1000)
        samples = librosa.resample(song, orig_sr=RATE, target_sr=rate)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate, frame_size=stream.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(piece))
    path = Path(folder) / f"song.{container}"
    path.write_bytes(buffer.getvalue())
    return decode(path, RATE).waveform


def copies(song, folder):
    cut = song[int(2.37 * RATE) : -int(1.1 * RATE)]
    yield "mp3", 0.0, through_codec(cut, folder, "libmp3lame", "mp3", 22050, 32)
    yield "opus", 0.0, through_codec(cut, folder, "libopus", "ogg", 48000, 24)
    yield "aac", 0.0, through_codec(cut, folder, "aac", "adts", 44100, 48)
    yield "6 dB softer", 0.0, cut / 2
    yield "6 dB louder", 0.0, np.clip(cut * 2, -1, 1)
    for semitones in (1.0, -2.0, 0.6):
        yield "shifted", semitones, librosa.effects.pitch_shift(cut, sr=RATE, n_steps=semitones)


@pytest.mark.parametrize("index", range(2))
def test_copies_are_recognised_and_their_shift_and_cut_told(index, songs, prints, tmp_path):
    for kind, semitones, copy in copies(songs[index], tmp_path):
        found = compare(prints[index], fingerprint(copy, RATE), RATE)
        assert found.similarity > SAME_RECORDING, kind
        assert found.semitones == pytest.approx(semitones, abs=0.25), kind
        assert found.lag_seconds == pytest.approx(2.37, abs=0.25), kind


def test_different_songs_are_not_called_one(prints):
    worst = max(compare(one, other, RATE).similarity for one, other in combinations(prints, 2))
    assert worst < SAME_RECORDING - 0.1


def test_comparing_is_symmetric_but_for_the_direction(songs, prints):
    copy = fingerprint(librosa.effects.pitch_shift(songs[0][RATE:], sr=RATE, n_steps=1), RATE)
    one, other = compare(prints[0], copy, RATE), compare(copy, prints[0], RATE)
    assert one.similarity == pytest.approx(other.similarity, abs=1e-4)
    assert (one.semitones, one.lag_seconds) == (-other.semitones, -other.lag_seconds)


def test_an_excerpt_is_found_in_its_song(songs, prints):
    excerpt = fingerprint(songs[3][8 * RATE : 19 * RATE], RATE)
    found = compare(prints[3], excerpt, RATE)
    assert found.similarity > SAME_RECORDING
    assert found.lag_seconds == pytest.approx(8.0, abs=0.2)


def test_the_level_does_not_change_a_fingerprint(songs, prints):
    assert np.allclose(fingerprint(songs[0] * 0.01, RATE), prints[0], atol=1e-2)


def test_a_copy_is_among_the_nearest_candidates(songs, prints, tmp_path):
    copy = through_codec(
        librosa.effects.pitch_shift(songs[5], sr=RATE, n_steps=-2)[RATE:], tmp_path,
        "libmp3lame", "mp3", 22050, 32,
    )  # fmt: skip
    described = [descriptors(item) for item in [*prints, fingerprint(copy, RATE)]]
    assert (5, NUM_SONGS) in candidates(described, 1)
    assert candidates(described[:1], 5) == []


def test_silence_and_the_shortest_sounds_do_not_break_it(prints):
    for sound in (np.zeros(RATE, np.int16), np.zeros(10, np.float32)):
        assert compare(prints[0], fingerprint(sound, RATE), RATE).similarity < SAME_RECORDING


@pytest.mark.skipif(
    importlib.util.find_spec("immich_memories_music") is None, reason="the demo clips are missing"
)
def test_no_two_clips_of_the_demo_set_are_called_one():
    root = Path(importlib.util.find_spec("immich_memories_music").origin).parent / "tracks"
    clips = sorted(path for path in root.rglob("*") if path.suffix in {".mp3", ".ogg", ".opus"})
    prints = [fingerprint(decode(path, RATE).waveform, RATE) for path in clips]
    assert len(prints) >= 20
    worst = max(compare(one, other, RATE).similarity for one, other in combinations(prints, 2))
    assert worst < SAME_RECORDING
