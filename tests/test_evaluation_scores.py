"""Scores of probabilities, against scikit-learn, scipy and cases worked out by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from melodai.evaluation.predictions import make_predictions
from melodai.evaluation.scores import (
    choose_pooling,
    compare_poolings,
    risk_coverage,
    score,
    score_segments,
    score_tracks,
)

MOODS = ("energetic", "peaceful", "emotional")


@pytest.fixture
def answers():
    random = np.random.default_rng(5)
    labels = random.integers(3, size=150)
    probabilities = random.dirichlet(np.ones(3), size=150) + 0.3 * np.eye(3)[labels]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    probabilities = np.round(probabilities, 1)  # many ties
    probabilities[:, 2] = 1 - probabilities[:, 0] - probabilities[:, 1]
    probabilities = np.clip(probabilities, 0.001, None)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities, labels, random.dirichlet(np.ones(3), size=150)


def test_scores_agree_with_scikit_learn_and_scipy(answers):
    probabilities, labels, soft = answers
    scores = score(probabilities, labels, soft)
    hot = np.eye(3)[labels]
    assert scores.log_loss == pytest.approx(reference.log_loss(labels, probabilities))
    assert scores.brier == pytest.approx(np.square(probabilities - hot).sum(axis=1).mean())
    assert scores.kl == pytest.approx(
        np.mean([stats.entropy(*p) for p in zip(soft, probabilities, strict=True)])
    )
    for mood in range(3):
        said = probabilities[:, mood]
        assert scores.roc_auc[mood] == pytest.approx(reference.roc_auc_score(hot[:, mood], said))
        assert scores.pr_auc[mood] == pytest.approx(
            reference.average_precision_score(hot[:, mood], said)
        )
        assert scores.pearson[mood] == pytest.approx(stats.pearsonr(soft[:, mood], said)[0])
        assert scores.spearman[mood] == pytest.approx(stats.spearmanr(soft[:, mood], said)[0])


def test_risk_at_each_coverage_worked_out_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.6, 0.4]])
    coverage, risk = risk_coverage(probabilities, np.array([0, 0, 1, 1]))
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1.0])
    # The two songs of confidence 0.8, one of them wrong, count half wrong each.
    assert risk == pytest.approx([0.0, 0.25, 1 / 3, 0.5])
    backwards = risk_coverage(probabilities[::-1], np.array([1, 1, 0, 0]))[1]
    assert backwards == pytest.approx(risk)


def test_perfect_answers_reach_the_best_score_everywhere():
    labels = np.array([0, 1, 2, 0, 1, 2])
    scores = score(np.eye(3)[labels], labels, np.eye(3)[labels])
    assert scores.hard.accuracy == scores.hard.macro_f1 == 1
    assert scores.roc_auc == scores.pr_auc == (1, 1, 1)
    assert scores.brier == scores.calibration_error == scores.aurc == scores.kl == 0
    assert scores.pearson == pytest.approx((1, 1, 1))


def test_what_is_not_defined_is_nan():
    scores = score(np.full((4, 2), 0.5), np.zeros(4, int))
    assert np.isnan(scores.roc_auc).all() and np.isnan(scores.pr_auc[1])
    assert np.isnan(scores.kl) and np.isnan(scores.pearson).all()


def test_every_number_has_a_name_of_its_own(answers):
    flat = score(*answers).flat(MOODS)
    assert len(flat) == 8 + 7 * 3
    assert flat["recall peaceful"] == score(*answers).hard.recall[1]


@pytest.fixture
def predictions():
    random = np.random.default_rng(1)
    labels = np.arange(40) % 3
    tracks = np.repeat(np.arange(40), 5)
    logits = random.normal(size=(200, 3)) * 2 + 1.2 * np.eye(3)[labels[tracks]]
    order = random.permutation(200)
    return make_predictions(
        data="made up", split="test", moods=MOODS, names=[f"{i}" for i in range(40)],
        labels=labels, logits=logits[order], tracks=tracks[order],
        starts_seconds=np.zeros(200), lengths_seconds=np.full(200, 10.0),
    )  # fmt: skip


def test_pooling_makes_songs_surer_than_segments(predictions):
    assert score_tracks(predictions).hard.accuracy > score_segments(predictions).hard.accuracy
    assert score_segments(predictions).hard.num_examples == 200


def test_scores_of_songs_do_not_depend_on_the_order_of_segments_or_songs(predictions):
    shuffled = predictions.take(np.random.default_rng(2).permutation(40))
    for calibrated in (True, False):
        one = score_tracks(predictions, calibrated=calibrated).flat(MOODS)
        other = score_tracks(shuffled, calibrated=calibrated).flat(MOODS)
        assert one == pytest.approx(other, nan_ok=True, abs=1e-12)


def test_the_pooling_is_the_one_with_the_best_macro_f1(predictions):
    compared = compare_poolings(predictions)
    best = max(scores.hard.macro_f1 for scores in compared.values())
    assert compared[choose_pooling(predictions)].hard.macro_f1 == best
