"""Answers for songs: the same whatever stands beside them, and as evaluation would give them."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import melodai
from melodai.audio import decode
from melodai.bundle import load_bundle
from melodai.data.cache import Failure, build_cache
from melodai.data.waveforms import CachedWaveforms
from melodai.errors import AudioError, SettingError
from melodai.inference import infer_songs
from melodai.metrics import at_temperature, pool_by_track
from melodai.predict import predictor as module
from melodai.predict.predictor import Predictor
from tests.conftest import noise, sine, write_audio
from tests.runs import make_run

RATE = 22050


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("model") / "run")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Songs of one to seven windows."""
    folder = tmp_path_factory.mktemp("songs")
    lengths = (3.2, 20, 5, 4, 11, 3)
    return [
        write_audio(
            folder / f"{n}.wav", noise(seconds, n) + sine(seconds, 300 * 2**n), title=f"song {n}"
        )
        for n, seconds in enumerate(lengths)
    ]


def answers(run, songs, **options):
    options = {"num_decoders": 1, **options}
    found = Predictor(load_bundle(run), **options).predict_many(songs)
    return {answer.file: answer for answer in found}


@pytest.fixture(scope="module")
def found(run, songs):
    return answers(run, songs, batch_size=4)


def test_answers_are_those_of_an_evaluation(run, songs, found, tmp_path):
    bundle = load_bundle(run)
    cache = build_cache(songs, sample_rate=RATE, cache_dir=tmp_path, num_decoders=1)
    outputs = infer_songs(
        bundle.model, CachedWaveforms([cache.entries[path] for path in songs]), range(len(songs)),
        segment_samples=3 * RATE, batch_size=3, device=torch.device("cpu")
    )  # fmt: skip
    pooled = pool_by_track(outputs.probabilities(), outputs.places, len(songs), bundle.pooling)
    expected = at_temperature(pooled, bundle.temperature)
    unfamiliarity = bundle.references.unfamiliarity(outputs.song_embeddings(len(songs)))
    for path, row, far in zip(songs, expected, unfamiliarity, strict=True):
        answer = found[path]
        assert answer.probabilities == pytest.approx(row, abs=1e-6)
        assert answer.unfamiliarity == pytest.approx(float(far), rel=1e-4)
        assert answer.mood == bundle.model.moods[row.argmax()]
        assert answer.confidence == max(answer.probabilities)


def test_an_answer_does_not_depend_on_the_other_songs_nor_on_the_batch(run, songs, found):
    for others in (answers(run, reversed(songs), batch_size=1), answers(run, songs, batch_size=64)):
        for path in songs:
            assert others[path].probabilities == pytest.approx(found[path].probabilities, abs=1e-6)
            assert others[path].mood == found[path].mood
    alone = melodai.load(run, batch_size=4).predict(songs[1])
    assert alone.probabilities == pytest.approx(found[songs[1]].probabilities, abs=1e-6)


def test_windows_cover_the_song(found, songs):
    answer = found[songs[1]]
    assert (answer.seconds, answer.title) == (pytest.approx(20), "song 1")
    assert [w.end_seconds - w.start_seconds for w in answer.windows] == pytest.approx([3.0] * 7)
    assert answer.windows[0].start_seconds == 0
    assert answer.windows[-1].start_seconds == pytest.approx(17)
    assert all(sum(window.probabilities) == pytest.approx(1) for window in answer.windows)


def test_samples_at_hand_are_answered_like_the_file(run, songs, found):
    predictor = melodai.load(run)
    samples = decode(songs[1], RATE).waveform
    for song in (samples, samples / 32768, torch.from_numpy(samples / 32768)):
        answer = predictor.predict(song, RATE)
        assert answer.probabilities == pytest.approx(found[songs[1]].probabilities, abs=1e-4)
    assert predictor.predict(samples.repeat(2), 2 * RATE).seconds == pytest.approx(20)


def test_what_is_loaded_is_the_model_too(run):
    predictor = melodai.load(run)
    logits = predictor(torch.randn(2, 3 * RATE))
    assert logits.shape == (2, 3)
    assert predictor.moods == predictor.model.moods == ("energetic", "peaceful", "emotional")


def test_a_song_that_cannot_be_listened_to_is_a_failure_and_the_rest_goes_on(run, songs, tmp_path):
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"x" * 10_000)
    predictor = melodai.load(run, num_decoders=1)
    failures = [a for a in predictor.predict_many([bad, songs[0]]) if isinstance(a, Failure)]
    assert failures == [Failure(bad, "not an audio file, or its header is damaged")]
    with pytest.raises(AudioError, match=r"bad\.mp3: not an audio file"):
        predictor.predict(bad)
    with pytest.raises(AudioError, match="silent"):
        predictor.predict(np.zeros(10 * RATE))


def test_what_is_not_sure_enough_is_unsure(run, songs, found):
    confidence = sorted(answer.confidence for answer in found.values())
    limit = confidence[2] + 1e-4
    unsure = [a.mood == "unsure" for a in answers(run, songs, min_confidence=limit).values()]
    assert sum(unsure) == sum(value < limit for value in confidence)


def test_a_whole_song_is_one_window_as_far_as_memory_is_meant_for(tmp_path, songs, monkeypatch):
    run = make_run(tmp_path / "run", segment_seconds="full")
    assert [len(a.windows) for a in answers(run, songs[:2]).values()] == [1, 1]
    monkeypatch.setattr(module, "LONGEST_WINDOW_SECONDS", 8.0)
    monkeypatch.setattr(module, "SAMPLES_AT_ONCE", 10 * RATE)
    windows = sorted(len(a.windows) for a in answers(run, songs).values())
    assert windows == [1, 1, 1, 1, 2, 3]


def test_a_long_song_costs_no_memory(run, tmp_path):
    """Most memory of a process before and after a song of 21 MB, 42 MB as floats."""
    code = """
import resource, sys
import melodai
predictor = melodai.load(sys.argv[1], num_decoders=1, batch_size=4)
for path in sys.argv[2:]:
    print(len(predictor.predict(path).windows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    paths = [
        write_audio(tmp_path / f"{minutes}.flac", noise(60 * minutes, 0, 8000), 8000)
        for minutes in (1, 8)
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, str(run), *map(str, paths)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [map(int, line.split()) for line in done.stdout.splitlines()]
    (_, before), (num_windows, after) = lines
    assert num_windows == 160
    assert 1024 * (after - before) < 8e6


def test_a_model_that_says_nothing_is_noticed(run, songs):
    predictor = melodai.load(run, num_decoders=1)
    with torch.no_grad():
        predictor.model.encoder.classifier.weight.fill_(float("nan"))
    [answer] = predictor.predict_many(songs[:1])
    assert answer == Failure(songs[0], "the model's answer is not a number")


def test_a_stop_finishes_what_the_model_has_at_hand(run, songs):
    stopped = []
    predictor = melodai.load(run, num_decoders=1, batch_size=1)
    for answer in predictor.predict_many(songs, is_stopped=lambda: bool(stopped)):
        stopped.append(answer.file)
    assert 1 <= len(stopped) <= 2


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"min_confidence": 1.5}, {"precision": "x"}, {"device": "cuda:9"}]
)
def test_settings_that_cannot_be_used_are_named(run, wrong):
    with pytest.raises(SettingError):
        melodai.load(run, **wrong)
