"""Artists spelled in two ways are found, different artists are not."""

import pytest

from melodai.evaluation.spelling import find_spellings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Beatles", "Beatles"),
        ("Beatles, The", "The Beatles"),
        ("Beyoncé", "Beyonce"),
        ("AC/DC", "AC-DC"),
        ("AC/DC", "ACDC"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
        ("Mozart, Wolfgang Amadeus", "Wolfgang Amadeus Mozart"),
        ("Radiohead", "Radiohaed"),
        ("Drake feat. Rihanna", "Drake"),
        ("Guns N' Roses", "Guns N’ Roses"),
    ],
)
def test_two_spellings_of_an_artist_are_found(one, other):
    found = find_spellings([one, other, "Somebody Else Entirely"])
    assert [{pair.one, pair.other} for pair in found] == [{one, other}]


@pytest.mark.parametrize(
    "artists",
    [
        ["Queen", "Queens"],
        ["Artist 7", "Artist 8"],
        ["Artist number a", "Artist number b"],
        ["James Blake", "James Black"],
        ["Ann Lee", "Bob Lee"],
        ["Nick Drake", "Nick Cave"],
        ["The The", "The Who"],
        ["!!!", "???"],
    ],
)
def test_different_artists_are_left_alone(artists):
    assert find_spellings(artists) == ()


def test_case_and_spaces_are_no_other_spelling():
    assert find_spellings(["Radiohead", "RADIOHEAD", " Radiohead "]) == ()
