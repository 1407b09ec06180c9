"""Running scores and pooling, against scikit-learn and cases worked out by hand."""

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from melodai.metrics import POOLINGS, MoodMetrics, pool_by_track, scores_of_confusion


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(3)
    return [
        (
            torch.randn(16, 3, generator=generator),
            torch.randint(3, (16,), generator=generator),
            torch.rand((), generator=generator),
        )
        for _ in range(5)
    ]


def test_scores_agree_with_scikit_learn(batches):
    metrics = MoodMetrics(3)
    for batch in batches:
        metrics.update(*batch)
    scores = metrics.compute()
    predicted = torch.cat([logits for logits, _, _ in batches]).argmax(dim=1)
    true = torch.cat([targets for _, targets, _ in batches])
    precision, recall, f1, _ = reference.precision_recall_fscore_support(true, predicted)
    assert scores.accuracy == pytest.approx(reference.accuracy_score(true, predicted))
    assert scores.balanced_accuracy == pytest.approx(
        reference.balanced_accuracy_score(true, predicted)
    )
    assert scores.macro_f1 == pytest.approx(reference.f1_score(true, predicted, average="macro"))
    assert scores.precision == pytest.approx(tuple(precision))
    assert scores.recall == pytest.approx(tuple(recall))
    assert scores.f1 == pytest.approx(tuple(f1))
    assert np.array_equal(scores.confusion, reference.confusion_matrix(true, predicted))
    assert scores.loss == pytest.approx(sum(float(loss) for _, _, loss in batches) / 80)


def test_a_case_worked_out_by_hand():
    # True a a a b; predicted a a b b; the third mood neither there nor predicted.
    scores = scores_of_confusion([[2, 1, 0], [0, 1, 0], [0, 0, 0]], loss=0.5)
    assert scores.accuracy == 0.75
    assert scores.recall == (2 / 3, 1.0, 0.0)
    assert scores.precision == (1.0, 0.5, 0.0)
    assert scores.f1 == pytest.approx((0.8, 2 / 3, 0.0))
    assert scores.balanced_accuracy == pytest.approx(5 / 6)
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)


def test_no_examples_give_no_scores_but_nan():
    scores = MoodMetrics(3).compute()
    assert np.isnan([scores.loss, scores.accuracy, scores.macro_f1]).all()
    assert scores.num_examples == 0


def test_soft_targets_count_by_their_largest_share(batches):
    hard, soft = MoodMetrics(3), MoodMetrics(3)
    for logits, targets, loss in batches:
        hard.update(logits, targets, loss)
        soft.update(logits, 0.8 * torch.nn.functional.one_hot(targets, 3) + 0.05, loss)
    assert hard.compute() == soft.compute()


def test_taking_up_the_state_goes_on_as_if_never_stopped(batches):
    whole, first, second = MoodMetrics(3), MoodMetrics(3), MoodMetrics(3)
    for batch in batches:
        whole.update(*batch)
    for batch in batches[:2]:
        first.update(*batch)
    state = first.state()
    first.reset()
    second.load(state)
    for batch in batches[2:]:
        second.update(*batch)
    assert second.compute() == whole.compute()
    assert first.compute().num_examples == 0


def test_reducing_over_one_process_changes_nothing(batches, tmp_path):
    metrics = MoodMetrics(3)
    metrics.update(*batches[0])
    before = metrics.compute()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    try:
        metrics.all_reduce()
    finally:
        torch.distributed.destroy_process_group()
    assert metrics.compute() == before


@pytest.mark.parametrize("how", POOLINGS)
def test_pooling_does_not_depend_on_the_order_of_segments_to_the_last_bit(how):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), size=200)
    tracks = random.integers(20, size=200)
    pooled = pool_by_track(probabilities, tracks, 20, how)
    for _ in range(5):
        order = random.permutation(200)
        again = pool_by_track(probabilities[order], tracks[order], 20, how)
        assert np.array_equal(pooled, again)
    assert np.allclose(pooled.sum(axis=1), 1)


def test_poolings_worked_out_by_hand():
    segments = [[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.5, 0.5]]
    tracks = [0, 0, 0, 1]
    assert np.allclose(pool_by_track(segments, tracks, 2, "mean")[0], [1.3 / 3, 1.7 / 3])
    assert np.allclose(pool_by_track(segments, tracks, 2, "vote")[0], [2 / 3, 1 / 3])
    assert np.allclose(pool_by_track(segments, tracks, 2, "median")[0], [0.6, 0.4])
    assert np.allclose(pool_by_track(segments, tracks, 2, "max")[0], [0.6 / 1.5, 0.9 / 1.5])
    geometric = np.array([0.036, 0.144]) ** (1 / 3)
    assert np.allclose(pool_by_track(segments, tracks, 2, "logit")[0], geometric / geometric.sum())


def test_a_track_without_segments_is_nan_and_tensors_are_welcome():
    pooled = pool_by_track(torch.tensor([[0.25, 0.75]]), torch.tensor([1]), 2)
    assert np.isnan(pooled[0]).all() and np.array_equal(pooled[1], [0.25, 0.75])


def test_an_unknown_pooling_and_a_track_out_of_range_are_refused():
    with pytest.raises(ValueError, match="median"):
        pool_by_track([[1.0]], [0], 1, "mode")
    with pytest.raises(ValueError, match="outside"):
        pool_by_track([[1.0]], [3], 2)
