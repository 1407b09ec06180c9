"""The ceiling on made-up votes whose agreement is known, and on the songs for development."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from melodai.evaluation.ceiling import (
    one_against_rest,
    resample_listeners,
    shortcuts,
    split_halves,
)
from melodai.evaluation.votes import EMOTIONS, Votes, read_votes
from melodai.labels import THREE

EMOTIFY = Path(__file__).parents[2] / "shared" / "data" / "emotify"
CHANCE = 0.7  # that a listener chooses calmness, else power: one emotion each


def votes(num_songs, num_listeners, chance=CHANCE):
    """Every listener chooses one of two emotions, all alike and independent."""
    calm = np.random.default_rng(0).random(num_songs * num_listeners) < chance
    choices = np.zeros((len(calm), len(EMOTIONS)), dtype=np.int64)
    choices[calm, EMOTIONS.index("calmness")] = 1
    choices[~calm, EMOTIONS.index("power")] = 1
    return Votes(
        names=tuple(str(song) for song in range(num_songs)),
        songs=np.repeat(np.arange(num_songs), num_listeners),
        choices=choices,
    )


def majority(num_listeners):
    """Chance that most of an odd number of listeners choose calmness."""
    return binom.sf(num_listeners // 2, num_listeners, CHANCE)


def test_halves_agree_as_often_as_two_majorities_do():
    found = split_halves(votes(4000, 10), THREE, np.random.default_rng(1), 10)
    half = majority(5)
    assert found.accuracy == pytest.approx(half**2 + (1 - half) ** 2, abs=0.01)


def test_a_bootstrap_agrees_as_often_as_the_binomial_law_says():
    found = resample_listeners(votes(4000, 9), THREE, np.random.default_rng(1), 10)
    counts = np.arange(10)
    again = binom.sf(4, 9, counts / 9)
    expected = (binom.pmf(counts, 9, CHANCE) * np.where(counts > 4, again, 1 - again)).sum()
    assert found.accuracy == pytest.approx(expected, abs=0.01)


def test_one_listener_agrees_with_the_majority_of_the_rest():
    found = one_against_rest(votes(4000, 10), THREE)
    rest = majority(9)
    assert found.accuracy == pytest.approx(CHANCE * rest + (1 - CHANCE) * (1 - rest), abs=0.01)
    assert found.num_tracks == 4000


def test_listeners_of_one_mind_agree_always():
    unanimous = votes(50, 6, chance=1.0)
    for found in (
        split_halves(unanimous, THREE, np.random.default_rng(0), 5),
        resample_listeners(unanimous, THREE, np.random.default_rng(0), 5),
        one_against_rest(unanimous, THREE),
    ):
        assert found.accuracy == found.macro_f1 == 1


def test_songs_with_one_listener_and_listeners_without_a_choice_are_left_out():
    single = votes(5, 1)
    mixed = Votes(
        names=(*single.names, "two"),
        songs=np.append(single.songs, [5, 5, 5]),
        choices=np.concatenate([single.choices, single.choices[:1], single.choices[:1],
                                np.zeros((1, len(EMOTIONS)), dtype=np.int64)]),
    )  # fmt: skip
    assert split_halves(mixed, THREE, np.random.default_rng(0), 5).num_tracks == 1
    found = one_against_rest(mixed, THREE)
    assert found.num_tracks == 1 and found.accuracy == 1


def test_a_listener_between_two_moods_counts_half_for_each():
    choices = np.zeros((3, len(EMOTIONS)), dtype=np.int64)
    choices[:2, EMOTIONS.index("calmness")] = 1
    choices[2, [EMOTIONS.index("calmness"), EMOTIONS.index("power")]] = 1
    found = one_against_rest(Votes(names=("a",), songs=np.zeros(3, int), choices=choices), THREE)
    # The first two are of the mood of the rest (calm ahead of power), the third by half.
    assert found.accuracy == pytest.approx(2.5 / 3)


def test_shortcuts_worked_out_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    found = shortcuts(
        labels,
        3,
        folds=np.array([0, 1, 0, 1, 1, 1]),
        artists=np.array([0, 1, 0, 2, 2, 3]),
        genres=np.array([0, 0, 1, 1, 1, -1]),
    )
    # Fold 0 learns mood 1 from fold 1 (0 1 1 2), fold 1 learns mood 0 from fold 0 (0 0).
    assert found["commonest mood"].accuracy == pytest.approx(1 / 6)
    # Song 0 learns 0 from song 1, song 1 learns 0 from song 0, song 2 learns 1, songs 3 and 4
    # learn 0 from song 2, song 5 falls back on 0.
    assert found["genre"].accuracy == pytest.approx(2 / 6)
    # Songs 0, 2 and 3, 4 know each other; songs 1 and 5 fall back on mood 0.
    assert found["artist's other songs"].accuracy == pytest.approx(5 / 6)


def test_a_shortcut_by_genre_needs_genres():
    unknown = np.full(4, -1)
    folds = np.array([0, 0, 1, 1])
    found = shortcuts(np.zeros(4, int), 3, folds=folds, artists=np.arange(4), genres=unknown)
    assert set(found) == {"commonest mood", "artist's other songs"}


@pytest.mark.skipif(not EMOTIFY.is_dir(), reason="the songs for development are not here")
def test_the_published_values_come_out_within_sampling_error():
    with (EMOTIFY / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    listeners = read_votes(EMOTIFY).of([row["file"] for row in rows])
    halves = split_halves(listeners, THREE, np.random.default_rng(0), 100)
    assert halves.accuracy == pytest.approx(0.706, abs=0.006)
    assert halves.macro_f1 == pytest.approx(0.687, abs=0.006)
    assert halves.correlation == pytest.approx((0.74, 0.59, 0.70), abs=0.012)
    bound = resample_listeners(listeners, THREE, np.random.default_rng(0), 100)
    assert bound.accuracy == pytest.approx(0.851, abs=0.008)
    assert bound.macro_f1 == pytest.approx(0.842, abs=0.008)


def test_shortcuts_of_some_songs_are_learnt_from_the_others_too():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 0])
    folds = np.array([1, 1, 1, 1, 1, 0, 0, 0])
    scored = folds == 0
    own_artists, no_genre = np.arange(8), np.full(8, -1)
    found = shortcuts(labels, 2, folds=folds, artists=own_artists, genres=no_genre, scored=scored)[
        "commonest mood"
    ]
    assert found.num_tracks == 3
    assert found.accuracy == pytest.approx(1 / 3)
