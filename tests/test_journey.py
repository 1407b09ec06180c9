"""The study's journey: its steps, its leak, and that shuffled labels show it."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from melodai.config import DataConfig
from melodai.data.corpus import prepare
from melodai.data.splits import check_no_leak
from melodai.errors import DataError, SettingError
from melodai.training.monitor import Monitor
from melodai_studies.journey.protocols import COPIES, SEGMENTS, leaky_songs, shuffled_labels
from melodai_studies.journey.run import (
    PROTOCOLS,
    JourneySettings,
    Plan,
    plans,
    predict,
    run_journey,
)
from melodai_studies.journey.steps import STEPS, config_of
from tests.songs import RATE, make_library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return make_library(tmp_path_factory.mktemp("journey") / "library", seconds=6)


@pytest.fixture(scope="module")
def corpus(library):
    return prepare(
        DataConfig(data=library, cache_dir=library.parent / "cache", num_decoders=1), RATE
    )


def test_every_step_changes_something_and_keeps_what_came_before():
    configs = [config_of(step, {}) for step in range(len(STEPS))]
    assert len({config.hash() for config in configs}) == len(STEPS)
    assert [c.data.moods for c in configs] == ["five"] * 3 + ["three"] * 5
    assert [c.augment.augment for c in configs] == [False] * 2 + [True] * 6
    assert [c.model.arch for c in configs][:7] == ["advanced"] * 5 + ["residual"] * 2


def test_the_leaky_split_leaks_and_the_honest_path_refuses_it(corpus):
    excerpts, split = leaky_songs(corpus, 3 * RATE, seed=0)
    assert len(excerpts.tracks) == len(corpus.tracks) * SEGMENTS * COPIES
    assert set(split.train) | set(split.validation) == set(range(len(excerpts.tracks)))
    learnt = {excerpts.keys[index] for index in split.train}
    sisters = [excerpts.keys[index] in learnt for index in split.validation]
    assert np.mean(sisters) > 0.9
    with pytest.raises(DataError, match="leaks"):
        check_no_leak(excerpts.tracks, excerpts.keys, split)


def test_an_excerpt_is_the_piece_of_its_song(corpus):
    excerpts, _ = leaky_songs(corpus, 3 * RATE, seed=0)
    for entry in excerpts.entries[:8]:
        song = next(e for e in corpus.entries if e.key == entry.key).read()
        piece = song[entry.offset : entry.offset + entry.num_samples]
        np.testing.assert_array_equal(entry.read(), piece)
        np.testing.assert_array_equal(entry.read(100, 50), piece[100:150])
        with pytest.raises(ValueError, match="samples"):
            entry.read(entry.num_samples - 1, 2)


def test_shuffled_labels_are_the_same_moods_on_other_songs(corpus):
    shuffled = shuffled_labels(corpus, seed=0)
    assert sorted(shuffled.classes) == sorted(corpus.classes)
    assert shuffled.classes != corpus.classes
    assert shuffled.keys == corpus.keys


def test_scores_of_listeners_are_shuffled_with_the_moods(corpus):
    tracks = [replace(t, scores=tuple(np.eye(3)[c])) for t, c in
              zip(corpus.tracks, corpus.classes, strict=True)]  # fmt: skip
    shuffled = shuffled_labels(replace(corpus, tracks=tuple(tracks)), seed=0)
    said = [int(np.argmax(track.scores)) for track in shuffled.tracks]
    assert tuple(said) == shuffled.classes


def test_the_lookup_tells_shuffled_labels_only_where_the_split_leaks(library):
    lookup = [step for step in STEPS if step.is_lookup]
    settings = JourneySettings(
        data=library, cache_dir=library.parent / "cache",
        options={"segment_seconds": 3.0, "num_decoders": 1},
    )  # fmt: skip
    accuracy = {}
    for protocol in PROTOCOLS:
        plan = Plan(STEPS.index(lookup[0]), protocol, is_shuffled=True)
        (predictions,) = predict(plan, settings, Monitor())
        accuracy[protocol] = (predictions.probabilities.argmax(1) == predictions.labels).mean()
    assert accuracy["leaky"] > 0.9
    assert accuracy["artist-disjoint"] < 0.8


def test_rows_of_other_settings_are_not_mixed(library, tmp_path):
    settings = JourneySettings(data=library, options={"epochs": 1})
    run_journey(settings, tmp_path / "out", tmp_path / "rows", protocols=())
    text = (tmp_path / "out" / "journey.md").read_text(encoding="utf-8")
    assert f"{len(plans())} rows are missing" in text
    with pytest.raises(SettingError, match="other settings"):
        run_journey(replace(settings, seed=1), tmp_path / "out", tmp_path / "rows")


def test_the_journey_is_gone_on_with_and_written_as_table_and_figure(
    library, tmp_path, monkeypatch
):
    small = {"moods": "three", "arch": "residual"}
    steps = [
        replace(step, changes={**step.changes, **small}) for step in (STEPS[3], STEPS[5], STEPS[7])
    ]
    for module in ("run", "steps"):
        monkeypatch.setattr(f"melodai_studies.journey.{module}.STEPS", tuple(steps))
    settings = JourneySettings(
        data=library, cache_dir=library.parent / "cache",
        options={
            "epochs": 1, "image_size": 32, "segment_seconds": 3.0, "batch_size": 8,
            "num_decoders": 1, "device": "cpu", "early_stopping": 0,
        },
    )  # fmt: skip
    rows = run_journey(settings, tmp_path / "out", tmp_path / "parts", protocols=("leaky",))
    assert {row.protocol for row in rows} == {"leaky"}
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").glob("*.npz")}
    rows = run_journey(settings, tmp_path / "out", tmp_path / "parts")
    assert len(rows) == len(plans())
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    with (tmp_path / "out" / "journey.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["labels"] for row in table} == {"true", "shuffled"}
    honest = [row for row in table if row["protocol"] == "artist-disjoint"]
    assert all(row["scored"] == "songs" for row in honest)
    assert (tmp_path / "out" / "journey.png").stat().st_size > 10_000
