"""What a listener hears of a file is what the model hears, and what it does not is said."""

import os
import struct

import numpy as np
import pytest

from melodai.audio import Hearing, decode, from_samples
from melodai.errors import AudioError
from tests.conftest import noise, sine, write_audio

RATE = 22050


def likeness(waveform, samples):
    """Correlation, whatever the sign."""
    count = min(len(waveform), len(samples))
    return abs(np.corrcoef(waveform[:count], samples[:count])[0, 1])


MIDDLE, SIDE = noise(8, 1), noise(8, 2)
BASS = sine(8, 60, RATE, 0.6)


@pytest.mark.parametrize(
    ("channels", "heard", "is_told"),
    [
        ([MIDDLE, -MIDDLE], MIDDLE, True),
        ([MIDDLE + 0.1 * SIDE, -(MIDDLE - 0.1 * SIDE)], MIDDLE, True),
        ([0.2 * MIDDLE + SIDE, 0.2 * MIDDLE - SIDE], SIDE, True),
        ([MIDDLE, MIDDLE, MIDDLE, 0 * MIDDLE, MIDDLE, -MIDDLE], MIDDLE, False),
        ([MIDDLE, -MIDDLE, 0.5 * SIDE, 0 * SIDE, 0 * SIDE, 0 * SIDE], MIDDLE, True),
        ([0.3 * MIDDLE + BASS, -0.3 * MIDDLE + BASS], 0.3 * MIDDLE + BASS, True),
        ([MIDDLE + 0.4, -MIDDLE + 0.4], MIDDLE, True),
    ],
    ids=["inverted", "nearly", "widened", "one of 5.1", "fronts", "treble", "offset"],
)
def test_channels_in_opposite_phase_are_heard(channels, heard, is_told):
    waveform, hearing = from_samples(np.stack(channels) / 2, RATE, RATE)
    assert likeness(waveform, heard) > 0.89
    assert ("channels in opposite phase" in hearing.words) == is_told


@pytest.mark.parametrize(
    "channels",
    [
        [MIDDLE, MIDDLE],
        [MIDDLE, 0 * MIDDLE],
        [MIDDLE, SIDE],
        [MIDDLE, np.roll(MIDDLE, 300)],
        [MIDDLE + 0.3 * SIDE, MIDDLE - 0.3 * SIDE],
        [MIDDLE, MIDDLE, SIDE, 0 * SIDE, 0.3 * SIDE, -0.3 * SIDE],
    ],
    ids=["mono", "one side", "unrelated", "delayed", "wide", "5.1"],
)
def test_channels_that_go_together_are_mixed_to_their_mean_without_a_word(channels):
    waveform, hearing = from_samples(np.stack(channels) / 2, RATE, RATE)
    assert likeness(waveform, np.mean(channels, axis=0)) > 0.99
    assert hearing.words == ""


def silence(seconds, noise_db=None):
    if noise_db is None:
        return np.zeros(round(seconds * RATE), np.float32)
    return noise(seconds, 9, level=0.2 * 10 ** (noise_db / 20))


@pytest.mark.parametrize("noise_db", [None, -80, -60])
@pytest.mark.parametrize("seconds", [(30, 0, 0), (0, 120, 0), (0, 0, 60), (5, 600, 5)], ids=str)
def test_silence_is_not_heard_wherever_it_is(seconds, noise_db):
    before, within, after = (silence(length, noise_db) for length in seconds)
    song = np.concatenate([before, noise(6, 1), within, noise(5, 2), after])
    waveform, hearing = from_samples(song, RATE, 8000)
    assert hearing.seconds == pytest.approx(11, abs=1)
    assert len(waveform) == round(hearing.seconds * 8000)
    assert hearing.whole_seconds == pytest.approx(len(song) / RATE, abs=0.01)
    assert hearing.silent_seconds == pytest.approx(sum(seconds), abs=1)
    assert " s silent" in hearing.words
    assert hearing.place(0.0) == pytest.approx(seconds[0], abs=0.3)
    assert hearing.place(hearing.seconds - 1) == pytest.approx(sum(seconds[:2]) + 10, abs=0.5)


def test_a_rest_a_quiet_part_and_a_fade_are_heard():
    fade = noise(10, 3) * np.logspace(0, -2, 10 * RATE)
    song = np.concatenate([noise(5, 1), silence(1.5), 0.01 * noise(10, 2), fade])
    _, hearing = from_samples(song, RATE, 8000)
    assert hearing == Hearing(26.5)


def test_places_lie_after_a_silence_and_ends_before_it():
    hearing = Hearing(10.0, ((0.0, 5.0), (8.0, 100.0)))
    assert hearing.place(0.0) == 5
    assert (hearing.place(3.0), hearing.place(3.0, is_end=True)) == (100, 8)
    assert hearing.place(np.array([1.0, 4.0])).tolist() == [6, 101]
    assert hearing.whole_seconds == 107


def wav(order, samples, width, is_float=False):
    """A WAV file of either byte order; integers of 1, 2, 3 or 4 bytes, or floats."""
    if is_float:
        data = samples.astype(f"{order}f{width}").tobytes()
    elif width == 1:
        data = (samples * 127 + 128).astype("u1").tobytes()
    else:
        whole = (samples * (2.0**31 - 1)).astype(f"{order}i4").view("u1").reshape(-1, 4)
        data = (whole[:, :width] if order == ">" else whole[:, 4 - width :]).tobytes()
    kind = struct.pack(
        f"{order}HHIIHH", 3 if is_float else 1, 1, RATE, RATE * width, width, 8 * width
    )
    sizes = [struct.pack(f"{order}I", size) for size in (36 + len(data), 16, len(data))]
    name = b"RIFX" if order == ">" else b"RIFF"
    return name + sizes[0] + b"WAVEfmt " + sizes[1] + kind + b"data" + sizes[2] + data


@pytest.mark.parametrize(
    "kind", [(1, False), (2, False), (3, False), (4, False), (4, True), (8, True)]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_wav_are_read(tmp_path, order, kind):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(order, noise(4), *kind))
    assert likeness(decode(path, RATE).waveform, noise(4)) > 0.999


@pytest.mark.parametrize("suffix", [".aiff", ".caf", ".au", ".w64"])
@pytest.mark.parametrize("codec", ["pcm_s16be", "pcm_s16le", "pcm_f32be", "pcm_f64le"])
def test_other_byte_orders_are_read(tmp_path, suffix, codec):
    if (suffix, codec) in {(".aiff", "pcm_f64le"), (".au", "pcm_s16le"), (".au", "pcm_f64le"),
                           (".w64", "pcm_s16be"), (".w64", "pcm_f32be")}:  # fmt: skip
        pytest.skip("the format has none of it")
    path = write_audio(tmp_path / f"a{suffix}", noise(4), RATE, codec=codec)
    assert likeness(decode(path, RATE).waveform, noise(4)) > 0.999


def ogg(path, samples, rate, codec="libopus"):
    return write_audio(path, samples, rate, codec=codec).read_bytes()


def test_every_song_of_a_chained_ogg_file_is_heard(tmp_path):
    parts = [
        ogg(tmp_path / "a.ogg", sine(5, 400, 48000), 48000),
        ogg(tmp_path / "b.ogg", np.stack([sine(4, 800, 22050)] * 2), 22050, "vorbis"),
        ogg(tmp_path / "c.ogg", sine(3, 1600, 24000), 24000),
    ]
    path = tmp_path / "chained.ogg"
    path.write_bytes(b"".join(parts))
    decoded = decode(path, RATE)
    assert decoded.hearing.seconds == pytest.approx(12, abs=0.2)
    assert decoded.hearing.words == ""
    for start, pitch in ((2, 400), (6.5, 800), (10, 1600)):
        piece = decoded.waveform[round(start * RATE) :][:RATE].astype(float)
        assert np.abs(np.fft.rfft(piece)).argmax() == pytest.approx(pitch, abs=2)
    path.write_bytes(parts[0] + parts[1] + parts[2][: len(parts[2]) // 2])
    assert "its end is missing" in decode(path, RATE).hearing.words


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".wav", ".aac", ".opus", ".mka"])
@pytest.mark.parametrize("damage", ["none", "cut", "hole", "spots"])
def test_lost_seconds_are_told(tmp_path, suffix, damage):
    codec = "libmp3lame" if suffix == ".mka" else None
    song = write_audio(tmp_path / f"a{suffix}", noise(40, 0, 48000), 48000, codec=codec)
    data = bytearray(song.read_bytes())
    size, lost = len(data), {"none": 0.0, "cut": 24.0, "hole": 8.0, "spots": 0.6}[damage]
    if damage == "cut":
        del data[size * 4 // 10 :]
    elif damage == "hole":
        data[size * 4 // 10 : size * 6 // 10] = bytes(size * 6 // 10 - size * 4 // 10)
    elif damage == "spots":
        for start in range(size // 5, size - size // 9, size // 5):
            data[start : start + 2000] = os.urandom(2000)
    song.write_bytes(data)
    hearing = decode(song, RATE).hearing
    if suffix == ".wav" and damage in ("hole", "spots"):  # it has no way to tell
        assert hearing.lost_seconds == 0
        return
    if damage == "cut" and suffix in (".aac", ".opus"):  # nothing says how long it was
        assert (hearing.lost_seconds < 1) and (suffix == ".aac" or "end is miss" in hearing.words)
        return
    if damage == "spots":
        assert 0.1 < hearing.lost_seconds < 30
    else:
        assert hearing.lost_seconds == pytest.approx(lost, abs=max(0.1, 0.2 * lost))
    assert ("damaged" in hearing.words) == (damage != "none" and hearing.lost_seconds > 0.1)


def test_pipes_devices_and_broken_links_are_said_for_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "link.mp3").symlink_to(tmp_path / "gone.mp3")
    for name, words in (("pipe.mp3", "a pipe"), ("link.mp3", "a link to a file that is not there")):
        with pytest.raises(AudioError, match=words):
            decode(tmp_path / name, RATE)
    with pytest.raises(AudioError, match="a device"):
        decode("/dev/zero", RATE)


def test_mp3s_that_change_rate_and_channels_on_the_way_are_heard_whole(tmp_path):
    first = write_audio(tmp_path / "a.mp3", sine(5, 400, 44100), 44100).read_bytes()
    second = write_audio(
        tmp_path / "b.mp3", np.stack([sine(5, 900, 48000)] * 2), 48000
    ).read_bytes()
    path = tmp_path / "joined.mp3"
    path.write_bytes(first + second)
    decoded = decode(path, RATE)
    assert decoded.hearing.seconds == pytest.approx(10, abs=0.4)
    piece = decoded.waveform[7 * RATE : 8 * RATE].astype(float)
    assert np.abs(np.fft.rfft(piece)).argmax() == pytest.approx(900, abs=2)


@pytest.mark.parametrize("kind", [b"drms", b"enca", b"aavd"])
def test_a_protected_file_is_said_to_be_so(tmp_path, kind):
    path = write_audio(tmp_path / "a.m4a", noise(4), RATE)
    path.write_bytes(path.read_bytes().replace(b"mp4a", kind, 1))
    with pytest.raises(AudioError, match="protected against copying"):
        decode(path, RATE)
