"""Pieces of a file are the sound that is there in the whole, found without decoding the rest."""

import dataclasses
import struct

import av
import numpy as np
import pytest

from melodai.audio import decode
from melodai.audio.excerpt import decode_excerpt
from melodai.bundle import load_bundle
from melodai.data.excerpt import excerpts
from melodai.data.segments import spread
from melodai.predict.predictor import Predictor
from melodai.predict.worker import decode_to_file
from tests.conftest import noise, write_audio
from tests.runs import make_run

RATE, COUNT, LENGTH = 16000, 3, 16000


def pieces(num_samples):
    return spread(num_samples, COUNT, LENGTH)


def music(rate=44100, seconds=24, seed=0):
    """Noise below 1 kHz, so that every moment sounds unlike every other and codecs keep it."""
    spectrum = np.fft.rfft(noise(seconds, seed, rate))
    spectrum[round(1000 * seconds) :] = 0
    samples = np.fft.irfft(spectrum)
    return (0.3 * samples / np.abs(samples).max()).astype(np.float32)


def assert_is_in(found, whole):
    """Each piece is the sound at its place, within the delay that an encoder may add."""
    for number, (start, length) in enumerate(pieces(len(whole))):
        piece = found[number * length : (number + 1) * length].astype(float)
        around = whole[start - RATE // 8 : start + length + RATE // 8].astype(float)
        likeness = np.fft.irfft(np.fft.rfft(around) * np.conj(np.fft.rfft(piece, len(around))))
        power = np.convolve(around**2, np.ones(length), mode="valid")
        best = (likeness[: RATE // 4 + 1] / np.sqrt(power * (piece @ piece))).max()
        assert best > 0.98, f"piece {number}: {best:.3f}"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".opus", ".m4a", ".aac", ".wav", ".aiff"])
def test_pieces_are_what_the_whole_holds_there(tmp_path, suffix):
    path = write_audio(tmp_path / f"a{suffix}", music(48000), 48000)
    found, whole = decode_excerpt(path, RATE, pieces), decode(path, RATE).waveform
    assert len(found.waveform) == COUNT * LENGTH and found.hearing.seconds == 3.0
    assert_is_in(found.waveform, whole)
    assert np.array_equal(found.waveform, decode_excerpt(path, RATE, pieces).waveform)


@pytest.mark.parametrize("header", ["wrong", "none"])
def test_a_length_that_the_header_makes_up_is_not_believed(tmp_path, header):
    path = write_audio(tmp_path / "a.mp3", music(), 44100)
    content = bytearray(path.read_bytes())
    if header == "wrong":
        mark = max(content.find(b"Xing"), content.find(b"Info"))
        content[mark + 8 : mark + 12] = struct.pack(">I", 100)  # frames: 2.6 s in place of 24
    else:  # then FFmpeg guesses from the rate of the first frame
        with av.open(str(path)) as container:
            content = content[next(container.demux()).pos :]
    path.write_bytes(content)
    assert_is_in(decode_excerpt(path, RATE, pieces).waveform, decode(path, RATE).waveform)


def worked(path, folder):
    job = {
        "path": str(path), "target": str(folder / "samples"), "sample_rate": RATE,
        "stall_seconds": 5, "pieces": COUNT, "segment_samples": COUNT * LENGTH,
    }  # fmt: skip

    class Heartbeat:
        def expect(self, seconds=0):
            """Nobody waits."""

        __call__ = expect

    said = decode_to_file(job, Heartbeat())
    return said, np.fromfile(folder / "samples", np.int16)


def test_what_is_odd_is_decoded_whole_and_silence_is_not_listened_to(tmp_path):
    silent = music(seconds=12)
    silent[3 * 44100 : 9 * 44100] = 0  # where the second piece would be
    quiet = write_audio(tmp_path / "silent.flac", silent, 44100)
    chained = write_audio(tmp_path / "chained.opus", music(48000, seconds=6), 48000)
    chained.write_bytes(2 * chained.read_bytes())
    cut = write_audio(tmp_path / "cut.flac", music(), 44100)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    for path in (quiet, chained, cut):
        assert decode_excerpt(path, RATE, pieces) is None
        whole = decode(path, RATE)
        said, samples = worked(path, tmp_path)
        assert said["hearing"] == whole.hearing
        assert np.allclose(samples, whole.waveform, atol=1)


class Memory:
    """A song of 1, 2, 3, …"""

    num_samples = 100

    def read_into(self, samples, start):
        samples[:] = np.arange(start, start + len(samples))


def test_an_excerpt_is_read_from_any_place():
    songs = [Memory()]
    assert excerpts(songs, 0, 40) is songs and excerpts(songs, 2, None) is songs
    [excerpt] = excerpts(songs, 2, 40)
    whole = np.r_[15:35, 65:85]
    for start, count in ((0, 40), (10, 20), (25, 5)):
        samples = np.zeros(count, np.int16)
        excerpt.read_into(samples, start)
        assert samples.tolist() == whole[start : start + count].tolist()


def test_an_answer_from_pieces_is_one_whatever_stands_beside_it(tmp_path):
    bundle = load_bundle(make_run(tmp_path / "run"))
    bundle = dataclasses.replace(bundle, config=bundle.config.with_options(pieces=3))
    songs = [
        write_audio(tmp_path / f"{seed}.wav", noise(seconds, seed))
        for seed, seconds in enumerate((3, 9, 20))
    ]
    found = {a.file: a for a in Predictor(bundle, num_decoders=2).predict_many(songs)}
    for song in reversed(songs):
        [alone] = Predictor(bundle, num_decoders=1, batch_size=1).predict_many([song])
        assert found[song].seconds == alone.seconds == 3 and not alone.windows
        assert np.allclose(found[song].probabilities, alone.probabilities, atol=1e-5)
    samples = Predictor(bundle).predict(decode(songs[2], bundle.model.sample_rate).waveform)
    assert np.allclose(samples.probabilities, found[songs[2]].probabilities, atol=0.02)
    whole = Predictor(bundle, hears_all=True).predict(songs[2])
    assert whole.seconds == 20 and len(whole.windows) == 7
