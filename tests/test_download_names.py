import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest

from melodai.file_names import MAX_BYTES, collision_key, safe_name
from melodai_studies.download.wanted import Wanted

HOSTILE = [
    "../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "C:\\boot.ini",
    "C:evil",
    "..",
    ".",
    "",
    "   ",
    ".bashrc",
    "-rf",
    "--out=x",
    "~root",
    "a\x00b",
    "a\nb\r\tc",
    "\x1b[31mred",
    "CON",
    "con.mp3",
    "Aux .txt",
    "COM1",
    "lpt9.x",
    "COM¹",
    "CONIN$",
    "nul",
    "a. . .",
    "name.",
    "name ",
    'a<b>c:d"e|f?g*h',
    "\u202egpj.exe",
    "zero\u200bwidth",
    "\ud800lone",
    "e\u0301" * 200,
    "音" * 300,
    "x" * 5000,
    "$(reboot)",
    "%2e%2e%2f",
    "a//b",
    "…",
    "=1+1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_becomes_one_harmless_component(text):
    name = safe_name(text)
    assert PurePosixPath(name).parts == (name,)
    assert PureWindowsPath(name).parts == (name,)
    assert not PureWindowsPath(name).is_reserved()
    assert 0 < len(name.encode()) <= MAX_BYTES + 1
    assert name[0] not in ".-~ " and name[-1] not in ". "
    assert not any(unicodedata.category(letter)[0] == "C" for letter in name)
    assert unicodedata.is_normalized("NFC", name)
    assert safe_name(name) == name


def test_names_stay_readable():
    assert safe_name("Motörhead - Ace of Spades (live)") == "Motörhead - Ace of Spades (live)"
    assert safe_name("AC/DC") == "AC DC"
    assert safe_name("Console") == "Console"
    assert safe_name("Вода и 音楽") == "Вода и 音楽"


@pytest.mark.parametrize(
    ("artist", "title", "path", "stem"),
    [
        ("A", "B", "x.mp3", "A - B"),
        ("A", "", "x.mp3", "A"),
        ("", "B", "x.mp3", "B"),
        ("", "", "x/My%20Song.v2.mp3?key=1", "My Song.v2"),
        ("", "", "", "song"),
        ("", "", "..%2f..%2f.ssh%2fkeys.mp3", "ssh keys"),
        ("", "", "a/stream/", "stream"),
    ],
)
def test_a_song_is_called_by_what_is_known_of_it(artist, title, path, stem):
    assert Wanted(1, "sad", f"https://example.org/{path}", artist, title, "", "").stem == stem


def test_names_that_some_system_takes_for_one_are_known():
    assert collision_key("Ångström") == collision_key("A\u030angstro\u0308m".upper())
    assert collision_key("Straße") == collision_key("STRASSE")
    assert collision_key("a") != collision_key("b")
