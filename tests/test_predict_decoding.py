"""Songs are decoded ahead of the model into temporary files: few of them, and none that stays."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from melodai import audio
from melodai.data.cache import Failure
from melodai.predict.decoding import decoded_songs
from tests.conftest import noise, write_audio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
RATE = 8000


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder in which all temporary files of a test must lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def songs(tmp_path):
    return [write_audio(tmp_path / f"{n}.wav", noise(4, n, RATE), RATE) for n in range(12)]


def test_every_song_comes_once_with_its_samples_and_leaves_nothing(songs, temporary):
    with decoded_songs(songs, RATE, num_decoders=2) as decoded:
        found = {}
        for song in decoded:
            samples = np.empty(1000, np.int16)
            song.read_into(samples, 500)
            found[song.path] = samples
            song.close()
    assert sorted(found) == sorted(songs)
    for path, samples in found.items():
        assert np.array_equal(samples, audio.decode(path, RATE).waveform[500:1500])
    assert not list(temporary.iterdir())


def test_decoding_waits_when_the_songs_ahead_take_too_much_of_the_disk(songs, temporary):
    with decoded_songs(songs, RATE, num_decoders=2, bytes_ahead=70_000) as decoded:  # 1.1 songs
        first = next(decoded)
        time.sleep(1.5)
        waiting = list(temporary.glob("*/*"))
        assert 2 <= len(waiting) <= 5
        first.close()
        rest = []
        for song in decoded:
            rest.append(song.path)
            song.close()
    assert sorted([first.path, *rest]) == sorted(songs)


def test_what_cannot_be_decoded_has_a_reason_and_the_rest_goes_on(songs, tmp_path):
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("no music " * 1000)
    bad = [tmp_path / "empty.mp3", tmp_path / "text.mp3", tmp_path / "missing.mp3"]
    with decoded_songs([*bad, songs[0]], RATE, num_decoders=1) as decoded:
        outcomes = list(decoded)
    reasons = {o.path.name: o.reason for o in outcomes if isinstance(o, Failure)}
    assert reasons == {
        "empty.mp3": "the file is empty",
        "text.mp3": "not an audio file, or its header is damaged",
        "missing.mp3": "no such file",
    }
    assert len(outcomes) == 4


def test_a_song_of_minutes_costs_the_decoder_no_memory(tmp_path):
    """Most memory of the real worker, from the system's accounts of ended children."""
    code = """
import pathlib, resource, sys
from melodai.predict.decoding import decoded_songs
with decoded_songs([pathlib.Path(sys.argv[1])], 22050, num_decoders=1) as songs:
    print(sum(song.num_samples for song in songs))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    peaks = []
    for minutes in (2, 12):
        path = write_audio(tmp_path / "song.flac", noise(60 * minutes, 0, RATE), RATE)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        num_samples, peak = map(int, done.stdout.split())
        assert num_samples == pytest.approx(60 * minutes * 22050, rel=0.01)
        peaks.append(peak * 1024)
    assert peaks[1] - peaks[0] < 5e6  # ten minutes are 26 MB


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(songs):
    songs[0].chmod(0)
    with decoded_songs(songs[:1], RATE) as decoded:
        assert [failure.reason for failure in decoded] == ["cannot be read: Permission denied"]


def test_it_can_be_left_at_any_time(songs, temporary):
    started = time.monotonic()
    with decoded_songs(songs, RATE, num_decoders=2) as decoded:
        next(decoded)
    assert time.monotonic() - started < 5
    assert not list(temporary.iterdir())


def test_a_killed_program_leaves_no_samples_behind(songs, temporary):
    code = """
import pathlib, sys, time
from melodai.predict.decoding import decoded_songs
with decoded_songs([pathlib.Path(name) for name in sys.argv[1:]], 8000) as songs:
    next(songs)
    print("one", flush=True)
    time.sleep(60)
"""
    names = [str(path) for path in songs]
    with subprocess.Popen([sys.executable, "-c", code, *names], stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"one\n"
        assert list(temporary.iterdir())
        program.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while list(temporary.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_temporary_folder_that_cannot_be_written_is_a_reason(songs, temporary):
    """A full disk, played by a limit on the size of files."""
    code = """
import pathlib, resource, sys
from melodai.predict.decoding import decoded_songs
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with decoded_songs([pathlib.Path(sys.argv[1])], 8000) as songs:
    print(next(songs).reason)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(songs[0])], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout and "$TMPDIR" in done.stdout
