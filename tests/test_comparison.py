"""Several models on the same folds: one table, whose numbers are those of the predictions."""

import csv

import numpy as np
import pytest

from melodai.comparison import Entry, compare_models
from melodai.comparison.stored import read_stored
from melodai.comparison.table import (
    drawn_at_random,
    log_comparison,
    make_rows,
    markdown,
    write_comparison,
)
from melodai.config import Config
from melodai.errors import DataError, SettingError
from melodai.evaluation.predictions import Predictions
from tests.songs import make_library, melodai

ENTRIES = [Entry("log-mel-statistics", "probe"), Entry("vggish", "probe")]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    library = make_library(folder / "library", songs_per_mood=5)
    config = Config().with_options(
        data=library, cache_dir=folder / "cache", num_folds=2, segment_seconds=3.0, head="ridge",
        offline=True, weights_dir=folder / "none", num_decoders=1,
    )  # fmt: skip
    return config, folder, compare_models(config, ENTRIES, folder / "out")


def test_an_entry_is_an_architecture_and_how_it_is_trained():
    assert Entry.parse("yamnet@zero-shot") == Entry("yamnet", "zero-shot")
    assert Entry.parse(" residual@random") == Entry("residual", "random")
    assert Entry.parse("residual").mode in ("random", "pretrained")
    with pytest.raises(SettingError, match="residual@random"):
        Entry.parse("residual@probe")
    assert Entry.parse("timm:tf_efficientnet_lite0").mode == "finetune"
    assert ":" not in Entry.parse("timm:tf_efficientnet_lite0").folder
    ridge = Entry.parse("yamnet@probe:ridge")
    assert ridge.head == "ridge" and ridge.folder == "yamnet-probe-ridge"
    for wrong in ("nonsense", "residual@probe", "auto", "yamnet@probe:tree"):
        with pytest.raises(SettingError):
            Entry.parse(wrong)


def test_what_has_no_weights_is_listed_with_the_reason_and_the_rest_runs(compared):
    _, _, found = compared
    assert [row.entry.arch for row in found.compared] == ["log-mel-statistics"]
    ((entry, reason),) = found.unavailable
    assert entry.arch == "vggish" and "put it at" in reason


def test_every_song_is_tested_once_by_a_model_that_did_not_learn_from_its_artist(compared):
    _, _, found = compared
    predictions = found.compared[0].predictions
    assert len(set(predictions.names)) == predictions.num_tracks == 15


def test_what_is_finished_is_taken_as_it_is(compared):
    config, folder, found = compared
    path = folder / "out" / "log-mel-statistics-probe" / "fold-0" / "best.pt"
    before = path.stat().st_mtime_ns
    again = compare_models(config, ENTRIES[:1], folder / "out")
    assert path.stat().st_mtime_ns == before
    np.testing.assert_array_equal(
        again.compared[0].predictions.probabilities, found.compared[0].predictions.probabilities
    )
    with pytest.raises(SettingError, match="other settings"):
        compare_models(config.with_options(seed=1), ENTRIES[:1], folder / "out")
    other = make_library(folder / "other", songs_per_mood=4)
    with pytest.raises(SettingError, match="other songs, labels or folds"):
        compare_models(config.with_options(data=other), ENTRIES[:1], folder / "out")


def test_the_table_holds_the_scores_of_the_stored_predictions(compared):
    _, folder, found = compared
    rows = make_rows(found, num_resamples=50)
    out = folder / "results"
    write_comparison(rows, found, None, out, "melodai-compare")
    with (out / "comparison.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    stored = Predictions.load(out / "predictions" / "log-mel-statistics-probe.npz")
    accuracy = (stored.calibrated.argmax(1) == stored.labels).mean()
    assert float(line["accuracy"]) == pytest.approx(accuracy, abs=1e-4)
    assert float(line["songs per second"]) > 0 and line["licence"] == "MIT"
    assert not any(stored.paths)  # where the songs lie is nobody's business
    text = (out / "comparison.md").read_text(encoding="utf-8")
    assert f"{accuracy:.3f}" in text and "vggish, probe: the weights" in text
    assert (out / "comparison.png").stat().st_size > 10_000
    again, made_by = read_stored(out)
    assert made_by == "melodai-compare" and again.unavailable == found.unavailable
    (row,) = make_rows(again, num_resamples=50)
    for name in ("accuracy", "calibration error"):
        assert row.scores[name] == rows[0].scores[name]
    assert row.compared.seconds == found.compared[0].seconds
    (out / "comparison.json").unlink()
    with pytest.raises(DataError, match="no comparison that can be read"):
        read_stored(out)


def test_runs_lie_side_by_side_in_tensorboard(compared):
    _, folder, found = compared
    rows = make_rows(found, num_resamples=50)
    log_comparison(rows, folder / "out")
    log_comparison(rows, folder / "out")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "out" / "log-mel-statistics-probe"))
    events.Reload()
    (point,) = events.Scalars("all_folds/accuracy")
    assert point.value == pytest.approx(rows[0].scores["accuracy"].value)


def test_moods_drawn_as_often_as_they_are_have_the_expected_scores(compared):
    _, _, found = compared
    predictions = found.compared[0].predictions
    shares = np.bincount(predictions.labels) / predictions.num_tracks
    assert drawn_at_random(predictions).accuracy == pytest.approx((shares**2).sum(), abs=1e-4)


def test_the_best_stands_first_and_the_others_are_tested_against_it(compared):
    _, _, found = compared
    one = found.compared[0]
    worse = type(one)(
        **{
            **vars(one),
            "entry": Entry("yamnet", "probe"),
            "predictions": one.predictions.at_temperatures(5.0, 5.0),
            "note": "8-bit values",
        }
    )
    both = type(found)(compared=(worse, one), unavailable=())
    rows = make_rows(both, num_resamples=50)
    assert rows[0].against_best is None and rows[0].compared.entry.arch == "log-mel-statistics"
    assert rows[1].against_best["accuracy"].p_value == 1
    assert "8-bit values" in markdown(rows, both, None, "melodai-compare")


def test_the_command_refuses_what_is_not_for_it(tmp_path):
    assert melodai("compare", "--archs", "residual").returncode == 2
    done = melodai("compare", "--out", tmp_path, "--arch", "residual")
    assert done.returncode == 2 and "--archs" in done.stderr
