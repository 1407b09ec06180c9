"""The loss against torch's own, and its balance."""

import torch
from torch.nn import functional as F

from melodai.training.loss import balanced_class_weights, mood_loss, one_hot


def test_it_is_torch_cross_entropy_with_smoothing_when_weights_are_one():
    logits, labels = torch.randn(8, 3), torch.randint(0, 3, (8,))
    ours = mood_loss(logits, one_hot(labels, 3), torch.ones(3), 0.1)
    theirs = F.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(ours, theirs)


def test_soft_targets_agree_with_torch_too():
    logits, targets = torch.randn(8, 3), torch.rand(8, 3).softmax(1)
    ours = mood_loss(logits, targets, torch.ones(3), 0.1)
    torch.testing.assert_close(
        ours, F.cross_entropy(logits, targets, label_smoothing=0.1, reduction="none")
    )


def test_each_mood_weighs_the_same_in_all():
    labels = [0] * 10 + [1] * 5 + [2]
    weights = balanced_class_weights(labels, 3)
    per_song = weights[torch.tensor(labels)]
    totals = [per_song[torch.tensor(labels) == mood].sum().item() for mood in range(3)]
    assert max(totals) - min(totals) < 1e-5
    assert abs(per_song.mean().item() - 1) < 1e-6


def test_a_mood_without_songs_weighs_nothing():
    assert balanced_class_weights([0, 2, 2], 4).tolist()[1::2] == [0.0, 0.0]


def test_the_loss_of_a_batch_is_the_mean_of_its_halves():
    logits, targets = torch.randn(6, 3), one_hot(torch.tensor([0, 1, 2, 0, 0, 1]), 3)
    weights = torch.tensor([0.5, 1.0, 2.0])
    losses = mood_loss(logits, targets, weights, 0.1)
    halves = [
        mood_loss(logits[h], targets[h], weights, 0.1).mean() for h in (slice(3), slice(3, 6))
    ]
    torch.testing.assert_close(losses.mean(), (halves[0] + halves[1]) / 2)
