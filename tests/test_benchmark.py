"""The benchmark measures what it says and its tables hold what was measured."""

import csv
import time
import wave

import numpy as np
import pytest
import torch

from melodai.config import FrontEndConfig
from melodai.errors import DataError
from melodai_studies.benchmark.gpu import measure_rates
from melodai_studies.benchmark.memory import PeakMemory, make_songs, peak_memory_mb
from melodai_studies.benchmark.report import to_markdown
from melodai_studies.benchmark.run import Benchmark, run_benchmark
from melodai_studies.benchmark.timing import Timing, Way, measure
from melodai_studies.benchmark.ways import (
    FEATURES,
    LOG_MEL,
    NETWORK,
    OURS,
    PITCHED,
    log_mel_ways,
    training_ways,
)

SMALL = FrontEndConfig(image_size=64)


def sleeper(name: str, seconds: float, task: str = "sleep", max_rounds: int = 1000) -> Way:
    return Way(
        task=task, name=name, run=lambda: time.sleep(seconds), num_clips=2, max_rounds=max_rounds
    )


def timings(pitched: float = 1.05, torchaudio: float = 5.0) -> list[Timing]:
    return [
        Timing(LOG_MEL, OURS, 3.0, 2.9, 6.0, 1.0, 5),
        Timing(LOG_MEL, PITCHED, 3.0 * pitched, 3.0, 6.0, pitched, 5),
        Timing(LOG_MEL, "torchaudio MelSpectrogram, AmplitudeToDB", 15.0, 14.0, 6.0, torchaudio, 5),
        Timing(
            LOG_MEL, "librosa pitch_shift, time_stretch, melspectrogram", 630, 600, 6.0, 210.0, 3
        ),
        Timing("training step", NETWORK, 80.0, 79.0, 6.0, 1.0, 5),
        Timing("training step", FEATURES, 8.0, 7.0, 6.0, 0.1, 5),
    ]


def test_times_are_a_clip_and_ratios_to_the_first_way_of_the_task():
    found = measure(
        [sleeper("a", 0.01), sleeper("b", 0.03, max_rounds=1), sleeper("c", 0.02, "other")], 3
    )
    assert [timing.way for timing in found] == ["a", "b", "c"]
    assert [timing.rounds for timing in found] == [3, 1, 3]
    assert 5 <= found[0].fastest <= found[0].milliseconds < 50
    assert found[0].processor_milliseconds < found[0].fastest
    assert found[0].ratio == 1 and found[2].ratio == 1
    assert found[1].ratio > 1


def test_all_ways_to_a_log_mel_run_on_the_same_clips():
    clips = torch.randn(2, 40_000) * 0.1
    ways = {way.name: way.run() for way in log_mel_ways(clips, SMALL, seed=0)}
    assert ways[OURS].shape == ways[PITCHED].shape == (2, 1, 64, 64)
    theirs = ways["torchaudio MelSpectrogram, AmplitudeToDB"]
    np.testing.assert_allclose(theirs[1], ways["librosa melspectrogram, power_to_db"][1], atol=1e-2)


def test_the_training_step_learns_and_its_features_are_pictures():
    ways = {way.name: way.run for way in training_ways(torch.randn(3, 40_000) * 0.1, SMALL, 0)}
    assert ways[FEATURES]().shape == (3, 1, 64, 64)
    losses = [ways[NETWORK]().item() for _ in range(8)]
    assert losses[-1] < losses[0]


def test_a_device_is_given_all_its_work():
    clips = torch.randn(2, 30_000) * 0.1
    rates = measure_rates(clips, SMALL, 0, device=torch.device("cpu"), batch_size=3, rounds=1)
    assert rates[0].work == "log-mel"
    assert "whole training step" in {rate.work for rate in rates}
    for rate in rates:
        assert rate.clips_per_second == pytest.approx(3e3 / rate.milliseconds_per_batch)


def test_the_tables_say_which_targets_are_reached():
    memory = [PeakMemory(10, 13.0, 800.0), PeakMemory(100, 132.0, 805.0)]
    text = to_markdown({"threads": "2"}, timings(), memory, [])
    assert "| threads | 2 |" in text
    assert "| 5.00 | yes |" in text and "| 1.05 | yes |" in text and "| 0.10 | yes |" in text
    assert "| 200.00 | yes |" in text  # librosa against ours with pitch and tempo
    assert "| +5 MB | yes |" in text
    missed = to_markdown({}, timings(pitched=1.3, torchaudio=2.0), [], [])
    assert "| 2.00 | no |" in missed and "| 1.30 | no |" in missed


def test_the_csv_holds_every_number(tmp_path):
    benchmark = Benchmark(
        conditions={"seed": "0"}, timings=timings(), memory=[PeakMemory(1, 1.3, 800.0)], rates=[]
    )
    benchmark.write(tmp_path)
    with (tmp_path / "benchmark.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows if row["kind"] == "memory"] == ["800.0"]
    assert len([row for row in rows if row["kind"] == "time"]) == 3 * len(timings())
    assert (tmp_path / "benchmark.md").read_text(encoding="utf-8") == benchmark.to_markdown()


def test_the_peak_of_memory_counts_what_is_in_use():
    filled = np.ones(50_000_000)  # 400 MB
    assert peak_memory_mb() > filled.nbytes / 1e6


def test_made_songs_differ_and_lie_in_a_folder_per_mood(tmp_path):
    make_songs(tmp_path, 4)
    songs = sorted(tmp_path.rglob("*.wav"))
    assert len({song.read_bytes() for song in songs}) == 4
    assert len({song.parent.name for song in songs}) == 3
    with wave.open(str(songs[0])) as file:
        assert file.getnframes() == 30 * 22050


def test_a_folder_without_audio_is_named(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        run_benchmark(tmp_path)
