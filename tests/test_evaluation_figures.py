"""Figures name their data, and the numbers written in them are those of the records."""

import numpy as np
import pytest
import torch

from melodai.errors import DataError
from melodai.evaluation import figures, sound_figures
from melodai.evaluation.ceiling import Ceiling, shortcuts
from melodai.evaluation.features import FEATURES
from melodai.evaluation.intervals import score_intervals
from melodai.evaluation.predictions import make_predictions
from melodai.evaluation.scores import confusion
from melodai.evaluation.separation import measure_separation

MOODS = ("energetic", "peaceful", "emotional")
ABOUT = "made up, test part, n = 60 songs by 20 artists"


@pytest.fixture(scope="module")
def predictions():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    return make_predictions(
        data="made up", split="test", moods=MOODS, names=[f"song {i}" for i in range(60)],
        labels=labels, logits=random.normal(size=(60, 3)) + np.eye(3)[labels],
        tracks=np.arange(60), starts_seconds=np.zeros(60), lengths_seconds=np.full(60, 30.0),
        artists=[f"artist {i // 3}" for i in range(60)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def intervals(predictions):
    return score_intervals(predictions, random=np.random.default_rng(0), num_resamples=50)


@pytest.fixture(scope="module")
def ceiling(predictions):
    found = shortcuts(
        predictions.labels, 3, folds=np.arange(60) % 5, artists=predictions.clusters,
        genres=np.full(60, -1),
    )  # fmt: skip
    return Ceiling(
        data="made up", moods=MOODS, num_tracks=60, num_votes=0, halves=None, resampled=None,
        one_listener=None, shortcuts=found,
    )  # fmt: skip


def words(figure):
    """All text of a figure."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))]


def check(figure, path, *expected):
    figures.save_figure(figure, path)
    assert path.read_bytes()[1:4] == b"PNG" and path.stat().st_size > 5000
    found = "\n".join(words(figure))
    for text in expected:
        assert text in found


def test_the_confusion_figure_shows_every_count(predictions, tmp_path):
    counts = confusion(predictions.calibrated, predictions.labels)
    figure = figures.confusion_figure(predictions)
    cells = [f"{count}\n{count / 20:.0%}" for count in counts.flat]
    check(figure, tmp_path / "new folder" / "a.png", ABOUT, "(n = 20)", *cells)


def test_the_bars_of_moods_show_the_scores_and_the_listeners(
    predictions, intervals, ceiling, tmp_path
):
    human = ceiling.shortcuts["artist's other songs"]
    figure = figures.mood_bars_figure(predictions, intervals, human)
    values = [f"{intervals[f'recall {mood}'].value:.2f}" for mood in MOODS]
    check(figure, tmp_path / "a.png", ABOUT, *values, f"{human.f1[0]:.2f}", "95 % interval")
    heights = sorted(bar.get_height() for bar in figure.axes[0].patches)
    kinds = ("precision", "recall", "F1")
    shown = [intervals[f"{kind} {mood}"].value for kind in kinds for mood in MOODS]
    assert heights == pytest.approx(sorted(shown))


def test_the_reliability_figure_counts_all_songs_on_both_sides(predictions, tmp_path):
    figure = figures.reliability_figure(predictions.at_temperatures(2.0, 2.0))
    check(figure, tmp_path / "a.png", ABOUT, "calibration error, debiased")
    for axis in figure.axes:
        assert sum(int(text.get_text()) for text in axis.texts) == 60


def test_the_risk_figure_ends_at_the_accuracy_on_all_songs(predictions, intervals, tmp_path):
    figure = figures.risk_coverage_figure({"one": predictions, "two": predictions.pooled_by("max")})
    check(figure, tmp_path / "a.png", ABOUT, "one (AURC", "two (AURC")
    curve = figure.axes[0].lines[0].get_ydata()
    assert curve[-1] == pytest.approx(intervals["accuracy"].value)


@pytest.mark.parametrize("with_ceiling", [True, False])
def test_the_comparison_shows_each_run_between_its_lines(
    intervals, ceiling, with_ceiling, tmp_path
):
    runs = {"first run": intervals, "second run": intervals}
    figure = figures.comparison_figure(runs, ABOUT, ceiling if with_ceiling else None)
    chance = ceiling.shortcuts["commonest mood"]
    line = f"commonest mood: accuracy {chance.accuracy:.3f}, macro F1 {chance.macro_f1:.3f}"
    check(figure, tmp_path / "a.png", ABOUT, "second run", f"{intervals['macro F1'].value:.3f}")
    assert (line in "\n".join(words(figure))) == with_ceiling


def test_training_curves_come_from_the_history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(
        "epoch,train_loss,validation_loss,train_accuracy,validation_accuracy,learning_rate,is_best\n"
        "1,1.1,1.2,0.3,0.4,0.001,1\n2,0.9,1.0,0.5,0.6,0.001,1\n3,0.7,1.1,0.6,0.5,0.0005,0\n"
    )
    figure = figures.history_figure(path, "made up, fold 0")
    check(figure, tmp_path / "a.png", "made up, fold 0, 3 epochs", "best epoch")
    losses = {tuple(line.get_ydata()) for line in figure.axes[0].lines}
    assert (1.1, 0.9, 0.7) in losses and (1.2, 1.0, 1.1) in losses
    assert any(set(line.get_xdata()) == {2.0} for line in figure.axes[0].lines)
    path.write_text("no,history\n")
    with pytest.raises(DataError, match="no training history"):
        figures.history_figure(path, "")


@pytest.mark.parametrize("boxes", [True, False])
def test_features_are_drawn_by_mood_with_the_separation_score(predictions, boxes, tmp_path):
    random = np.random.default_rng(1)
    features = random.normal(size=(60, len(FEATURES)))
    found = measure_separation(
        features, predictions.labels, predictions.clusters, MOODS, random=random, num_resamples=50
    )
    figure = sound_figures.feature_figure(
        features, predictions.labels, MOODS, ABOUT, found, boxes=boxes
    )
    check(figure, tmp_path / "a.png", ABOUT, "peaceful (n = 20)", str(found["all moods"].score))


def test_mean_spectrograms_are_means_of_pictures_relative_to_their_maximum(tmp_path):
    pictures = sound_figures.MeanSpectrograms(2)
    loud = torch.linspace(-90.0, 10.0, 40 * 30).reshape(40, 30)
    for mood, picture in ((0, loud), (0, loud - 30), (1, loud.flip(0))):
        pictures.add(picture, mood)
    assert pictures.means[0].max() == 0 and pictures.means[0].min() == -80
    assert np.allclose(pictures.means[0][::-1], pictures.means[1])
    figure = sound_figures.spectrogram_figure(
        pictures, MOODS[:2], np.geomspace(50, 11000, 40), 30.0, ABOUT
    )
    check(figure, tmp_path / "a.png", ABOUT, "energetic (n = 2 songs)", "10,000")
