"""Votes are read as published, and moods follow from them by the written rule."""

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.votes import (
    EMOTIONS,
    hard_labels,
    mood_scores,
    read_votes,
    tied_moods,
)
from melodai.labels import FIVE, THREE

HEADER = (
    "track id, genre, amazement, solemnity, tenderness, nostalgia, calmness, power,"
    " joyful_activation, tension, sadness, mood, liked"
)


def write(folder, *rows, header=HEADER):
    (folder / "data.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def rates(**chosen):
    return np.array([[chosen.get(emotion, 0.0) for emotion in EMOTIONS]])


def test_votes_are_read_with_the_names_of_the_files(tmp_path):
    votes = read_votes(
        write(
            tmp_path,
            "101,rock,0,0,0,0,0,1,1,0,0,3,1",
            "2,classical,0,0,0,0,1,0,0,0,0,3,1",
            "2,classical,0,1,0,0,1,0,0,0,1,3,1",
        )
    )
    assert votes.names == ("emotifymusic/classical/2.mp3", "emotifymusic/rock/1.mp3")
    assert votes.num_listeners.tolist() == [2, 1]
    found = votes.rates()
    assert found[0, EMOTIONS.index("calmness")] == 1
    assert found[0, EMOTIONS.index("solemnity")] == 0.5
    assert votes.of(["emotifymusic/rock/1.mp3"]).choices.sum() == 2
    with pytest.raises(DataError, match=r"else\.mp3"):
        votes.of(["else.mp3"])


@pytest.mark.parametrize(
    ("row", "header", "reason"),
    [
        ("2,classical,0,0,0,0,7,0,0,0,0,3,1", HEADER, "0 and 1"),
        ("2,classical,0,0,0,0,yes,0,0,0,0,3,1", HEADER, "no vote"),
        ("2,classical,0", HEADER, "no vote"),
        ("2,classical,0", "track id, genre, power", "no column"),
    ],
)
def test_a_table_that_is_no_votes_is_refused(tmp_path, row, header, reason):
    with pytest.raises(DataError, match=reason):
        read_votes(write(tmp_path, row, header=header))


def test_data_without_votes_say_so(tmp_path):
    with pytest.raises(DataError, match="votes of listeners"):
        read_votes(tmp_path)


def test_the_mood_is_the_one_with_the_highest_mean_rate():
    means, sums = mood_scores(rates(calmness=0.6, power=0.4, sadness=0.7), THREE)
    assert means == pytest.approx(np.array([[0.2, 0.3, 0.7 / 3]]))
    assert hard_labels(means, sums).tolist() == [1]
    five, five_sums = mood_scores(rates(calmness=0.6, power=0.7, sadness=0.7), FIVE)
    assert five == pytest.approx(np.array([[0, 0.7, 0.6, 0, 0.35]]))
    assert hard_labels(five, five_sums).tolist() == [1]


def test_of_equal_means_the_higher_sum_decides_and_then_nothing_does():
    # Mean 0.5 both; the emotional mood has three emotions and so the higher sum.
    means, sums = mood_scores(
        rates(calmness=0.5, solemnity=0.5, tenderness=0.5, nostalgia=0.5, sadness=0.5), THREE
    )
    assert hard_labels(means, sums).tolist() == [2]
    means, sums = mood_scores(rates(calmness=1.0, power=1.0), THREE)
    assert tied_moods(means, sums).tolist() == [[True, True, False]]
