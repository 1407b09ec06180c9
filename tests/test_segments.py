import math
import random

import numpy as np
import pytest
import torch

from melodai.data.segments import Segment, evaluation_windows, training_window
from melodai.data.store import CachedTrack
from melodai.data.waveforms import CachedWaveforms, DeviceWaveforms


@pytest.fixture
def entries(tmp_path):
    """Songs of 10, 100 and 37 samples; sample n of song s is 1000 s + n + 1."""
    made = []
    for song, length in enumerate((10, 100, 37)):
        samples = (1000 * song + np.arange(length) + 1).astype("<i2")
        path = tmp_path / f"{song}.npy"
        np.save(path, samples)
        made.append(CachedTrack(key=str(song), path=path, num_samples=length, checksum=0))
    return made


@pytest.mark.parametrize("seed", range(200))
def test_evaluation_windows_cover_a_song_evenly_from_its_start_to_its_end(seed):
    generator = random.Random(seed)
    num_samples, segment = generator.randint(1, 5000), generator.randint(1, 1500)
    windows = evaluation_windows(num_samples, segment)
    assert len(windows) == max(1, math.ceil(num_samples / segment))
    assert {length for _, length in windows} == {segment}
    starts = [start for start, _ in windows]
    assert starts[0] == 0
    if num_samples > segment:
        assert starts[-1] + segment == num_samples
        steps = np.diff(starts)
        assert steps.max() - steps.min() <= 1
        assert steps.max() <= segment  # nothing is left out


def test_a_song_as_long_as_a_segment_gives_one_window():
    assert evaluation_windows(45, 45) == [(0, 45)]
    assert evaluation_windows(46, 45) == [(0, 45), (1, 45)]


def test_full_is_the_whole_song_whatever_the_tempo():
    assert evaluation_windows(1234, None) == [(0, 1234)]
    assert training_window(1234, None, 1.1, 0.7) == (0, 1234)


def test_training_windows_reach_every_place_alike_and_stay_inside():
    starts = [training_window(20, 10, 1.0, u)[0] for u in np.arange(0, 1, 1 / 1100)]
    assert sorted(set(starts)) == list(range(11))
    assert {starts.count(place) for place in range(11)} == {100}
    nearly_one = np.nextafter(1.0, 0.0)
    assert training_window(20, 10, 1.0, nearly_one) == (10, 10)
    assert training_window(2**31, 10, 1.0, nearly_one)[0] == 2**31 - 10


def test_a_faster_tempo_takes_a_longer_window():
    assert training_window(1000, 100, 1.1, 0.0) == (0, 110)
    assert training_window(1000, 100, 0.9, 0.0) == (0, 90)


def test_a_song_shorter_than_the_window_starts_at_its_start():
    for u in (0.0, 0.5, 0.999):
        assert training_window(30, 100, 1.0, u) == (0, 100)


def both(entries, longest=60):
    return (
        CachedWaveforms(entries),
        DeviceWaveforms(entries, "cpu", longest_window=longest),
    )


def test_segments_are_cut_where_they_say(entries):
    for waveforms in both(entries):
        assert list(waveforms.num_samples) == [10, 100, 37]
        batch = waveforms.gather([Segment(1, 30, 5), Segment(2, 32, 5)])
        assert batch.tolist() == [[1031, 1032, 1033, 1034, 1035], [2033, 2034, 2035, 2036, 2037]]


def test_shorter_rows_are_padded_with_zeros(entries):
    for waveforms in both(entries):
        batch = waveforms.gather([Segment(1, 98, 2), Segment(1, 0, 4), Segment(2, 36, 1)])
        assert batch.tolist() == [[1099, 1100, 0, 0], [1001, 1002, 1003, 1004], [2037, 0, 0, 0]]


def test_short_songs_are_repeated_from_their_start(entries):
    song = list(range(1, 11))
    for waveforms in both(entries):
        batch = waveforms.gather([Segment(0, 0, 37), Segment(0, 0, 10)])
        assert batch[0].tolist() == song * 3 + song[:7]
        assert batch[1].tolist() == song + [0] * 27


def test_whole_songs_need_no_longest_window(entries):
    whole = [Segment(n, 0, entry.num_samples) for n, entry in enumerate(entries)]
    on_host, on_device = both(entries, longest=None)
    assert on_host.gather(whole).tolist() == on_device.gather(whole).tolist()


def test_host_and_device_give_the_same_at_random_places(entries):
    generator = random.Random(0)
    on_host, on_device = both(entries)
    for _ in range(200):
        segments = []
        for _ in range(generator.randint(1, 5)):
            song, length = generator.randint(0, 2), generator.randint(1, 60)
            last = max(0, entries[song].num_samples - length)
            segments.append(Segment(song, generator.randint(0, last), length))
        assert on_host.gather(segments).tolist() == on_device.gather(segments).tolist()


def test_only_a_cuda_device_keeps_the_songs():
    assert not DeviceWaveforms.fits([], "cpu", longest_window=None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_the_host_gives(tmp_path):
    generator = np.random.default_rng(0)
    entries = []
    for song in range(8):
        samples = generator.integers(-30000, 30000, 400_000 + song).astype("<i2")
        np.save(tmp_path / f"{song}.npy", samples)
        entries.append(
            CachedTrack(
                key=str(song), path=tmp_path / f"{song}.npy", num_samples=len(samples), checksum=0
            )
        )
    assert DeviceWaveforms.fits(entries, "cuda", longest_window=500_000)
    on_device = DeviceWaveforms(entries, "cuda", longest_window=500_000)
    segments = [Segment(7, 5, 300_000), Segment(0, 0, 450_000), Segment(3, 400_002, 1)]
    batch = on_device.gather(segments)
    assert batch.is_cuda
    assert torch.equal(batch.cpu(), CachedWaveforms(entries).gather(segments))


def test_a_segment_longer_than_promised_never_reaches_the_next_song(entries):
    _, on_device = both(entries, longest=20)
    with pytest.raises(AssertionError, match="longest_window"):
        on_device.gather([Segment(0, 0, 21)])
