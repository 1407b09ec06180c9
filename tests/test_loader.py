"""The same batches whatever the processes, the threads and the step one starts at."""

import threading
import time
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pytest
import torch

from melodai.data.loader import TrainingBatches, batch_seed, evaluation_batches
from melodai.data.prefetch import prefetch
from melodai.data.store import CachedTrack
from melodai.data.waveforms import CachedWaveforms, DeviceWaveforms
from melodai.errors import DataError, SettingError

BATCH = 6
SEGMENT = 40


class Tempo(NamedTuple):
    tempo: torch.Tensor
    gain: torch.Tensor

    def rows(self, rows):
        return Tempo(*(value[rows] for value in self))


def draw(generator):
    return Tempo(
        0.9 + 0.2 * torch.rand(BATCH, generator=generator), torch.rand(BATCH, generator=generator)
    )


@pytest.fixture
def entries(tmp_path):
    """Songs of 20 to 119 samples of noise."""
    generator = np.random.default_rng(0)
    made = []
    for song in range(17):
        samples = generator.integers(-30000, 30000, generator.integers(20, 120)).astype("<i2")
        np.save(tmp_path / f"{song}.npy", samples)
        made.append(
            CachedTrack(
                key=str(song), path=tmp_path / f"{song}.npy", num_samples=len(samples), checksum=0
            )
        )
    return made


def loader(entries, *, waveforms=None, tracks=range(1, 15), seed=0, **options):
    settings = dict(segment_samples=SEGMENT, batch_size=BATCH, segments_per_track=1, draw=draw)
    waveforms = waveforms or CachedWaveforms(entries)
    return TrainingBatches(waveforms, tracks, seed=seed, **{**settings, **options})


def rows_of(batches):
    """Everything in the batches, row by row, without the padding."""
    return [
        (batch.step, int(track), int(count), waveform[:count].tolist(), *map(float, of_row))
        for batch in batches
        for waveform, count, track, *of_row in zip(
            batch.waveform, batch.num_samples, batch.track, *batch.draw, strict=True
        )
    ]


def test_batches_are_full_int16_and_padded_with_zeros(entries):
    batches = list(loader(entries).epoch(0))
    assert len(batches) == loader(entries).steps_per_epoch == 3
    for step, batch in enumerate(batches):
        assert batch.step == step
        assert batch.waveform.dtype == torch.int16
        assert batch.num_samples.dtype == batch.track.dtype == torch.int64
        assert batch.waveform.shape == (BATCH, int(batch.num_samples.max()))
        for row, segment in zip(batch.waveform, batch.segments, strict=True):
            assert not row[segment.num_samples :].any()


def test_an_epoch_hears_every_song_and_fills_the_last_batch_from_its_start(entries):
    for epoch in range(5):
        tracks = [int(track) for batch in loader(entries).epoch(epoch) for track in batch.track]
        assert sorted(tracks[:14]) == list(range(1, 15))
        assert tracks[14:] == tracks[:4]


def test_several_segments_of_each_song_an_epoch(entries):
    batches = list(loader(entries, segments_per_track=3).epoch(0))
    tracks = [int(track) for batch in batches for track in batch.track]
    assert len(batches) == 7
    assert sorted(tracks) == sorted(list(range(1, 15)) * 3)


def test_a_batch_may_be_larger_than_the_epoch(entries):
    [batch] = loader(entries, tracks=[3, 5]).epoch(0)
    tracks = batch.track.tolist()
    assert sorted(tracks) == [3, 3, 3, 5, 5, 5]


def test_windows_have_the_length_of_their_tempo(entries):
    for batch in loader(entries).epoch(1):
        expected = (SEGMENT * batch.draw.tempo.double()).round().long()
        assert torch.equal(batch.num_samples, expected)


def test_whole_songs(entries):
    for batch in loader(entries, segment_samples=None).epoch(0):
        for segment in batch.segments:
            assert segment[1:] == (0, entries[segment.track].num_samples)


def test_epochs_differ_and_repeat_with_the_seed(entries):
    first, again = rows_of(loader(entries).epoch(0)), rows_of(loader(entries).epoch(0))
    assert first == again
    assert first != rows_of(loader(entries).epoch(1))
    assert first != rows_of(loader(entries, seed=1).epoch(0))


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_processes_together_see_the_batches_of_one(entries, world_size):
    alone = rows_of(loader(entries).epoch(4))
    together = [
        rows_of(loader(entries, rank=rank, world_size=world_size).epoch(4))
        for rank in range(world_size)
    ]
    # Stable: within a step the ranks' rows follow each other.
    joined = sorted((row for of_rank in together for row in of_rank), key=lambda row: row[0])
    assert joined == alone


def test_a_batch_that_cannot_be_shared_evenly_is_refused(entries):
    with pytest.raises(SettingError, match="--batch-size is 6, which 4 processes"):
        loader(entries, world_size=4)


def test_an_epoch_can_start_at_any_step(entries):
    whole = rows_of(loader(entries).epoch(2))
    for first_step in range(4):
        rest = rows_of(loader(entries).epoch(2, first_step))
        assert rest == [row for row in whole if row[0] >= first_step]


def test_songs_on_the_device_give_the_same_batches(entries):
    waveforms = DeviceWaveforms(entries, "cpu", longest_window=round(1.1 * SEGMENT) + 1)
    on_device = rows_of(loader(entries, waveforms=waveforms).epoch(0))
    assert on_device == rows_of(loader(entries).epoch(0))


class Unsteady(CachedWaveforms):
    """Reads at an unsteady pace."""

    def gather(self, segments):
        time.sleep(0.01 * (sum(segment.start for segment in segments) % 3))
        return super().gather(segments)


def test_timing_changes_nothing(entries):
    rows = []
    with closing(loader(entries, waveforms=Unsteady(entries)).epoch(0)) as batches:
        for batch in batches:
            time.sleep(0.01)
            rows += rows_of([batch])
    assert rows == rows_of(loader(entries).epoch(0))


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "melodai-loader"]


def test_the_thread_ends_with_the_loop_however_it_ends(entries):
    list(loader(entries).epoch(0))
    assert not threads()
    for _ in loader(entries).epoch(0):
        break
    assert not threads()
    with (
        pytest.raises(KeyboardInterrupt),
        closing(loader(entries, segments_per_track=50).epoch(0)) as batches,
    ):
        for _ in batches:
            raise KeyboardInterrupt
    assert not threads()


def test_an_error_of_the_thread_reaches_the_caller(entries):
    entries[7].path.unlink()
    with pytest.raises(DataError, match="run again"):
        list(loader(entries).epoch(0))
    assert not threads()


def test_no_more_than_two_batches_are_made_ahead():
    made = []

    def batches():
        for number in range(100):
            made.append(number)
            yield number

    with closing(prefetch(batches())) as ahead:
        assert next(ahead) == 0
        time.sleep(0.3)
        assert len(made) <= 4  # one used, two ready, one in the thread's hands


def test_time_spent_waiting_is_counted(entries):
    class Slow(CachedWaveforms):
        def gather(self, segments):
            time.sleep(0.1)
            return super().gather(segments)

    batches = loader(entries, waveforms=Slow(entries))
    list(batches.epoch(0))
    assert 0.2 < batches.seconds_waiting < 10


def test_evaluation_hears_all_of_every_song_in_order(entries):
    tracks = [5, 2, 9, 16]
    batches = list(
        evaluation_batches(CachedWaveforms(entries), tracks, segment_samples=SEGMENT, batch_size=3)
    )
    assert [batch.step for batch in batches] == list(range(len(batches)))
    assert all(batch.draw is None for batch in batches)
    segments = [segment for batch in batches for segment in batch.segments]
    assert list(dict.fromkeys(segment.track for segment in segments)) == tracks
    for track in tracks:
        heard = np.zeros(entries[track].num_samples, bool)
        for segment in segments:
            if segment.track == track:
                heard[segment.start : segment.start + segment.num_samples] = True
        assert heard.all()
    assert all(len(batch.segments) == 3 for batch in batches[:-1])
    assert not threads()


def test_seeds_differ_at_every_place():
    places = {
        batch_seed(seed, *where)
        for seed in range(20)
        for where in [(epoch, step) for epoch in range(20) for step in range(20)] + [(0, "order")]
    }
    assert len(places) == 20 * 401
    assert all(0 <= seed < 2**63 for seed in places)
    # Half of the bits differ between neighbours.
    changes = [bin(batch_seed(0, 0, n) ^ batch_seed(0, 0, n + 1)).count("1") for n in range(200)]
    assert 28 < np.mean(changes) < 35
