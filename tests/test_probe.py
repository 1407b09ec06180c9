"""Heads on frozen embeddings: those of scikit-learn, chosen and calibrated on songs held out."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from melodai.errors import DataError
from melodai.models.heads import Head, HeadShape, ProbeHead
from melodai.probe.choose import best_sharpness, candidates, choose_head, inner_folds
from melodai.probe.examples import Examples
from melodai.probe.fit import Candidate, Inputs, fit_head

NUM_SONGS, DIMENSION = 60, 40


def examples(seed=0, signal=2.0, windows=2, dimension=DIMENSION):
    """Songs of three moods, two windows each, by twenty artists who differ from each other."""
    random = np.random.default_rng(seed)
    labels = np.arange(NUM_SONGS) % 3
    songs = np.repeat(np.arange(NUM_SONGS), windows)
    centres = random.normal(size=(3, dimension)) * signal / np.sqrt(dimension) * 3
    x = centres[labels[songs]] + random.normal(size=(len(songs), dimension))
    shares = 0.7 * np.eye(3)[labels] + 0.1
    votes = random.integers(5, 50, NUM_SONGS)
    weights = np.sqrt(votes) / np.sqrt(votes).mean()
    groups = (np.arange(NUM_SONGS) // 3) % 20
    return Examples(
        embeddings=x, songs=songs, labels=labels, shares=shares, weights=weights, groups=groups
    )


def columns(dimension=DIMENSION):
    return np.arange(dimension)


def test_kernel_ridge_is_that_of_scikit_learn():
    data = examples()
    candidate = Candidate(kind="ridge", member=0, summaries=("mean",), strength=0.7, width=0.5)
    inputs = Inputs(data, columns())
    head = fit_head(candidate, inputs, 0)
    weights = data.window_weights
    targets = data.shares[data.songs]
    bias = (weights[:, None] * targets).sum(0) / weights.sum()
    ridge = KernelRidge(alpha=0.7, kernel="rbf", gamma=0.5 / DIMENSION)
    ridge.fit(inputs.x, targets - bias, sample_weight=weights)
    with torch.inference_mode():
        said = head(torch.from_numpy(data.embeddings)).numpy()
    np.testing.assert_allclose(said, ridge.predict(inputs.x) + bias, atol=1e-4)


def test_the_svm_is_that_of_scikit_learn_one_mood_against_the_others():
    data = examples(1)
    candidate = Candidate(kind="svm", member=0, summaries=("mean",), strength=0.5, width=0.3)
    inputs = Inputs(data, columns())
    head = fit_head(candidate, inputs, 0)
    with torch.inference_mode():
        said = head(torch.from_numpy(data.embeddings)).numpy()
    for mood in range(3):
        svm = SVC(C=2.0, gamma=0.3 / DIMENSION, class_weight="balanced")
        svm.fit(inputs.x, data.labels[data.songs] == mood, data.window_weights)
        np.testing.assert_allclose(said[:, mood], svm.decision_function(inputs.x), atol=2e-3)


def test_the_linear_head_is_that_of_scikit_learn_also_with_more_columns_than_windows():
    data = examples(2, dimension=300)
    candidate = Candidate(kind="linear", member=0, summaries=("mean",), strength=30.0)
    inputs = Inputs(data, columns(300))
    assert inputs.x.shape == (120, 119)  # so many differ from each other
    head = fit_head(candidate, inputs, 0)
    model = LogisticRegression(C=1 / 30, class_weight="balanced", max_iter=1000)
    model.fit(inputs.x, data.labels[data.songs], data.window_weights)
    with torch.inference_mode():
        said = head(torch.from_numpy(data.embeddings)).softmax(1).numpy()
    np.testing.assert_allclose(said, model.predict_proba(inputs.x), atol=2e-3)


def test_a_column_that_never_changed_says_nothing_whatever_it_becomes():
    data = examples(3)
    data.embeddings[:, 7] = 5.0
    candidate = Candidate(kind="ridge", member=0, summaries=("mean",), strength=1.0)
    head = fit_head(candidate, Inputs(data, columns()), 0)
    one = torch.from_numpy(data.embeddings[:1].copy())
    other = one.clone()
    other[0, 7] = 1e6
    torch.testing.assert_close(head(one), head(other))


@pytest.mark.parametrize("kind", ["linear", "mlp", "svm", "ridge"])
@pytest.mark.parametrize("dimension", [DIMENSION, 400])
def test_every_kind_of_head_learns_and_is_read_back_from_its_weights(kind, dimension):
    data = examples(4, dimension=dimension)
    summaries = ({"mean": torch.arange(20), "std": torch.arange(20, dimension)},)
    chosen = choose_head(kind, data, summaries, seed=0)
    said = data.song_means(torch.from_numpy(chosen.logits).softmax(1).numpy())
    assert (said.argmax(1) == data.labels).mean() > 0.7
    state = {f"classifier.{name}": value for name, value in chosen.head.state_dict().items()}
    again = ProbeHead.of_state(state)
    again.load_state_dict(chosen.head.state_dict())
    x = torch.from_numpy(data.embeddings)
    torch.testing.assert_close(again(x), chosen.head(x))
    torch.testing.assert_close(again(x)[3:4].softmax(1), again(x[3:4]).softmax(1))


def test_shuffled_labels_cannot_be_told_of_songs_held_out():
    data = examples(5)
    shuffled = np.random.default_rng(0).permutation(data.labels)
    data = Examples(**{**vars(data), "labels": shuffled, "shares": np.eye(3)[shuffled]})
    chosen = choose_head("auto", data, ({"mean": torch.arange(DIMENSION)},), seed=0)
    said = data.song_means(torch.from_numpy(chosen.logits).softmax(1).numpy())
    assert (said.argmax(1) == shuffled).mean() < 0.6
    loss = -np.log(said[np.arange(NUM_SONGS), shuffled]).mean()
    assert loss < 1.2  # and it does not think that it can


def test_no_artist_is_on_both_sides_of_an_inner_fold_and_each_song_is_held_out_once():
    data = examples()
    folds = inner_folds(data, 0)
    for fit, held in folds:
        assert not set(data.groups[fit]) & set(data.groups[held])
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(NUM_SONGS))
    one = data.take(np.arange(3))
    with pytest.raises(DataError, match="two artists"):
        inner_folds(Examples(**{**vars(one), "groups": np.zeros(3)}), 0)


def test_a_join_has_a_head_for_each_network_and_kind_and_averages_them():
    data = examples(6)
    summaries = ({"mean": torch.arange(20)}, {"mean": torch.arange(20, DIMENSION)})
    chosen = choose_head("auto", data, summaries, seed=0)
    assert {(c.member, c.kind) for c in chosen.candidates} == {
        (member, kind) for member in (0, 1) for kind in ("ridge", "svm", "linear")
    }
    x = torch.from_numpy(data.embeddings)
    each = torch.stack([head(x) for head in chosen.head.heads]).mean(0)
    torch.testing.assert_close(chosen.head(x), each * chosen.head.sharpness)
    assert len(chosen.losses) == len(candidates("auto", summaries))
    assert [loss for _, loss in chosen.losses] == sorted(loss for _, loss in chosen.losses)


def test_only_the_mean_is_read_if_asked_for():
    tables = ({"mean": torch.arange(20), "std": torch.arange(20, DIMENSION)},)
    reads = {
        name: {c.summaries for c in candidates("svm", tables, name)}
        for name in ("mean", "all", "auto")
    }
    assert reads["mean"] == {("mean",)} and reads["all"] == {("mean", "std")}
    assert reads["auto"] == reads["mean"] | reads["all"]


def test_the_sharpness_is_the_one_with_the_lowest_loss_of_the_songs():
    data = examples(7)
    logits = np.eye(3)[data.labels[data.songs]] + np.random.default_rng(0).normal(
        size=(len(data.songs), 3)
    )
    best = best_sharpness(logits, data)
    for factor in (0.8, 1.25):
        scaled = torch.from_numpy(logits * best.sharpness * factor).softmax(1).numpy()
        songs = data.song_means(scaled)
        assert -np.log(songs[np.arange(NUM_SONGS), data.labels]).mean() > best.loss


def test_songs_weigh_by_the_root_of_their_votes_and_share_it_among_their_windows():
    data = examples()
    sums = np.bincount(data.songs, data.window_weights)
    np.testing.assert_allclose(sums / sums.mean(), data.weights)


def test_heads_work_in_float32_under_autocast():
    head = ProbeHead([Head(HeadShape(kind="linear", num_inputs=4, num_classes=3))])
    with torch.autocast("cpu", torch.bfloat16):
        assert head(torch.randn(2, 4)).dtype == torch.float32
