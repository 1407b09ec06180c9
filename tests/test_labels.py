"""Moods: their names, the sets that are known, and what labels become."""

import pytest

from melodai.config import Config
from melodai.errors import SettingError
from melodai.labels import FIVE, QUADRANTS, THREE, mood_of, moods_for, moods_text, parse_moods


def test_moods_that_are_written_are_read_again():
    for moods in (THREE, QUADRANTS, ("R&B, soul", 'so-called "jazz"', "切ない")):
        assert parse_moods(moods_text(moods)) == moods
    assert parse_moods(" Five ") == FIVE
    assert parse_moods("auto") is None


@pytest.mark.parametrize("text", ["", "happy", "happy,HAPPY", " , ,", "seven"])
def test_fewer_than_two_moods_are_refused(text):
    with pytest.raises(SettingError, match="--moods"):
        parse_moods(text)


def test_the_moods_of_data_are_its_labels_unless_they_fit_a_known_set():
    assert moods_for(["sad", "Party", "calm"]) == THREE
    assert moods_for(["q4", "Q2", "Q1"]) == QUADRANTS
    assert moods_for(["Q1", "Q4", "Q3", "emotional"]) == THREE
    assert moods_for(["sad", "calm"]) == ("calm", "sad")  # none of them energetic
    assert moods_for(["sad", "party", "calm", "Groovy"]) == ("calm", "Groovy", "party", "sad")


def test_a_quadrant_becomes_what_it_means_and_not_what_the_study_merged():
    assert [mood_of(label, THREE) for label in QUADRANTS] == [
        "energetic", "energetic", "emotional", "peaceful",
    ]  # fmt: skip
    assert [mood_of(label, FIVE) for label in QUADRANTS] == ["party", "drive", "sad", "calm"]
    assert mood_of("drive", THREE) == "peaceful"
    assert mood_of("energetic", FIVE) is None


def test_the_older_name_of_the_setting_is_still_understood():
    assert Config().with_options(taxonomy="five").data.moods == "five"
    written = Config().to_json().replace('"moods": "auto"', '"taxonomy": "three"')
    assert Config.from_json(written).data.moods == "three"
