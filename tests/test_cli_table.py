"""The table of songs keeps its numbers however long and strange the names are."""

import io
import itertools

import pytest
from rich.cells import cell_len

from melodai.cli.console import plain_console
from melodai.cli.table import print_songs
from melodai.predict.rows import Row

MOODS = ("energetic", "peaceful", "emotional")
NAMES = [
    "01 - Symphony No. 9 in D minor, Op. 125 'Choral' - I. Allegro ma non troppo.mp3",
    "short.mp3", "x" * 250 + ".flac", "日本語の長い名前 " * 12 + "♥.mp3", "🎵👩‍👩‍👧❤️" * 20 + ".ogg",
    "שיר ארוך מאוד " * 9 + ".mp3", "\x1b[2J\x1b[31mred\nnew line\t\u202egnp.mp3",
    "[bold]a[/]:cat:.mp3",
]  # fmt: skip


def rows(moods=MOODS, far=0.5):
    shares = [0.9, *itertools.repeat(0.1 / (len(moods) - 1), len(moods) - 1)]
    return [
        Row(file=f"music/{name}", mood=moods[0], confidence=0.9, probabilities=tuple(shares),
            seconds=245, unfamiliarity=far)
        for name in NAMES
    ]  # fmt: skip


def shown(monkeypatch, some_rows, moods, columns=None, is_terminal=False):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    console = plain_console()
    console.file = io.StringIO()
    console._force_terminal = is_terminal
    print_songs(console, some_rows, moods)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("far", [0.5, 1.5])
@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_mood_shares_and_length_stay_at_any_usual_width(monkeypatch, columns, far):
    lines = shown(monkeypatch, rows(far=far), MOODS, str(columns))
    assert max(map(cell_len, lines)) <= columns
    body = [line for line in lines if "energetic" in line and "│" in line]
    assert len(body) == len(NAMES)
    for line, name in zip(body, NAMES, strict=True):
        words = line.replace("│", " ").split()
        assert "energetic" in words and "0.90" in words and "4:05" in words
        assert words.count("0.05") == 2
        assert ("unfamiliar" in words) == (far > 1)
        assert "\x1b" not in line and "\u202e" not in line
        assert name.rstrip().split(".")[-1] in line


def test_names_are_whole_where_lines_have_no_end(monkeypatch):
    for columns in (None, "0", "wide", "-1"):
        lines = shown(monkeypatch, rows(), MOODS, columns)
        assert sum("energetic" in line for line in lines) == len(NAMES) + 1
        assert NAMES[0] in "\n".join(lines) and NAMES[2] in "\n".join(lines)
        assert ":cat:" in "\n".join(lines)


def test_many_long_moods_leave_the_likeliest_its_share(monkeypatch):
    moods = tuple(f"R&B/soul [{number}] and a good many other words" for number in range(12))
    for columns in ("1", "40", "80", "300"):
        lines = shown(monkeypatch, rows(moods), moods, columns)
        body = [line for line in lines if "0.90" in line and "4:05" in line and "R&B" in line]
        assert len(body) == len(NAMES)
    assert max(map(cell_len, shown(monkeypatch, rows(moods), moods, "80"))) <= 80
