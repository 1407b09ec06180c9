"""Credits name the same artists however they are written, and common words name nobody."""

import mutagen
import pytest

from melodai.audio import decode
from melodai.data.artists import artist_groups, artist_key, artist_names
from tests.conftest import noise, write_audio


@pytest.mark.parametrize(
    "credit",
    [
        "Ana feat. Bob", "Ana ft. Bob", "Ana FT Bob", "Ana Featuring Bob", "Ana (feat. Bob)",
        "Ana [w/ Bob]", "Ana with Bob", "Ana vs. Bob", "Ana x Bob", "Bob × Ana", "Bob & Ana",
        "Bob and Ana", "Bob, Ana", "Bob/Ana", "Bob;Ana", "Bob | Ana", "Bob + Ana", "Bob＆Ana",
        "Ａｎａ；Ｂｏｂ", "Bob\\\\Ana", "Bob, Cyd & Ana", "Various Artists feat. Ana, prod. by Bob",
    ],
)  # fmt: skip
def test_every_artist_of_a_credit_is_found(credit):
    assert {"ana", "bob"} <= artist_names(credit).keys()


@pytest.mark.parametrize(
    "spellings",
    [
        ("The Beatles", "Beatles", "Beatles, The", "BEATLES", " the  beatles"),
        ("Beyoncé", "Beyonce\u0301", "Beyonce", "BEYONCÉ"),
        ("AC/DC", "ACDC", "AC-DC", "Ac / Dc", "ＡＣ／ＤＣ"),
        ("Guns N' Roses", "Guns n’ Roses", "Guns and Roses", "Guns & Roses"),
        ("Mozart, Wolfgang Amadeus", "Wolfgang Amadeus Mozart"),
        ("A Perfect Circle", "Perfect Circle, A"),
        ("Die Ärzte", "Ärzte, Die"),
        ("Trentemøller", "Trentemoller"),
        ("R.E.M.", "REM"),
        ("Florence + The Machine", "Florence and the Machine"),
    ],
)
def test_spellings_of_an_artist_are_one(spellings):
    assert set(artist_groups(spellings)) == {0}


def test_names_with_such_words_do_not_hang_together_by_them():
    artists = [
        "Earth, Wind & Fire", "AC/DC", "Simon & Garfunkel", "Tyler, The Creator", "The The",
        "Florence + The Machine", "Sammy Davis, Jr.", "Harry Connick, Jr.", "Ärzte, Die",
        "Toten Hosen, Die", "Duke & His Orchestra", "Count & His Orchestra", "The Who", "!!!",
        "???", "Kool & The Gang",
        "Malcolm X", "Nina and Friends", "Zoe + 2", "Quartet + 2", "Song, The",
    ]  # fmt: skip
    assert len(set(artist_groups(artists))) == len(artists)


def test_nobody_is_nobody():
    names = [
        None, "", "  ", "Various Artists", "VARIOUS", "Artists, Various", "VA", "V.A.", "V/A",
        "Unknown", "<unknown>", "[unknown]", "Unknown Artist", "Sconosciuto", "Artisti Vari", "n/a",
    ]  # fmt: skip
    assert [artist_key(name) for name in names] == [None] * len(names)
    assert len(set(artist_groups(names))) == len(names)


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".flac"])
def test_all_values_of_the_artist_are_read(tmp_path, suffix):
    path = write_audio(tmp_path / f"song{suffix}", noise(4))
    file = mutagen.File(path, easy=True)
    file["artist"], file["albumartist"] = ["Ana", "Bob"], ["Cyd"]
    file.save()
    tags = decode(path, 22050).tags
    assert (tags.artist, tags.album_artist) == ("Ana;Bob", "Cyd")
