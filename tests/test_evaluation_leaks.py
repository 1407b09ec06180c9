"""The look at a split before it is trained on."""

import numpy as np

from melodai.config import DataConfig
from melodai.data.corpus import prepare
from melodai.data.splits import make_split
from melodai.evaluation.leaks import leak_warnings
from tests.conftest import write_audio
from tests.songs import KINDS, RATE, make_library, write_wav


def rich_song(seed: int) -> np.ndarray:
    """Fifteen seconds of chords and noise bursts that nothing else sounds like."""
    random = np.random.default_rng(seed)
    time = np.arange(RATE // 2) / RATE
    chords = []
    for _ in range(30):
        tones = random.choice(np.arange(40, 80), 3, replace=False)
        waves = [np.sin(2 * np.pi * 440 * 2 ** ((tone - 69) / 12) * time) for tone in tones]
        burst = random.standard_normal(len(time)) * np.exp(-time * 20) * random.uniform(0, 0.5)
        chords.append(np.sum(waves, 0) * np.exp(-time * random.uniform(1, 6)) + burst)
    song = np.concatenate(chords)
    return (0.7 * song / np.abs(song).max()).astype(np.float32)


def test_a_copy_in_another_encoding_on_the_other_side_is_warned_of_and_remembered(tmp_path):
    root = tmp_path / "songs"
    for index, mood in enumerate(KINDS):
        for number in range(4):
            write_wav(root / mood / f"{number}.wav", rich_song(10 * index + number))
    copy = root / "energetic" / "copy.mp3"
    write_audio(copy, 0.5 * rich_song(0), RATE, bit_rate=64_000)
    corpus = prepare(DataConfig(data=root, cache_dir=tmp_path / "cache", num_decoders=1), RATE)
    names = [track.name for track in corpus.tracks]
    pair = {names.index("energetic/0.wav"), names.index("energetic/copy.mp3")}
    seen = set()
    for seed in range(12):
        split = make_split(
            corpus.tracks, corpus.keys, fold=0, num_folds=3, validation_fraction=0.3, seed=seed
        )
        sides = {split.part_of()[index] for index in pair}
        warnings = leak_warnings(corpus, split.part_of(), tmp_path / "cache")
        assert len(warnings) == (len(sides) > 1), (sides, warnings)
        if warnings:
            assert "energetic/0.wav" in warnings[0] and "energetic/copy.mp3" in warnings[0]
        seen.add(len(sides))
    assert seen == {1, 2}, "both cases were met"
    assert len(list((tmp_path / "cache" / "audits").iterdir())) == 1


def test_songs_that_share_nothing_are_not_warned_of(tmp_path):
    root = make_library(tmp_path / "songs", songs_per_mood=3)
    corpus = prepare(DataConfig(data=root, cache_dir=tmp_path / "cache", num_decoders=1), RATE)
    split = make_split(
        corpus.tracks, corpus.keys, fold=0, num_folds=3, validation_fraction=0.3, seed=0
    )
    assert all(
        "the same recording" in w
        for w in leak_warnings(corpus, split.part_of(), tmp_path / "cache")
    )
