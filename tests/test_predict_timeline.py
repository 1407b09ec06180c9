"""The moods over time as a file and a picture, for songs of any length and name."""

import json
import os
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from melodai.audio import Hearing
from melodai.errors import MelodaiError
from melodai.predict.results import SongMood, WindowMood
from melodai.predict.timeline import timeline_figure, timeline_of, write_timeline

MOODS = ("energetic", "peaceful", "emotional")


def song(file="a.mp3", windows=((0, 45), (15, 45)), seconds=60.0, moods=MOODS, **more):
    num, rows = len(moods), []
    for index, (start, length) in enumerate(windows):
        shares = [0.4 / (num - 1)] * num
        shares[index % num] = 0.6
        rows.append(
            WindowMood(
                start_seconds=start,
                end_seconds=min(start + length, seconds),
                probabilities=tuple(shares),
            )
        )
    values = {
        "mood": moods[0], "confidence": 0.5, "probabilities": (0.5, *[0.5 / (num - 1)] * (num - 1)),
        "unfamiliarity": float("nan"), "hearing": Hearing(seconds),
    }  # fmt: skip
    return SongMood(file=Path(file), moods=moods, windows=tuple(rows), **values | more)


def texts(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))]


def test_the_json_has_a_row_a_window_within_the_song(tmp_path):
    table, picture = write_timeline(song("x/a.mp3", ((0, 45), (20, 45)), 60.0), tmp_path)
    assert (table.name, picture.name) == ("a.mp3.timeline.json", "a.mp3.timeline.png")
    found = json.loads(table.read_bytes())
    assert found["mood"] == "energetic" and found["unfamiliarity"] is None
    assert Path(found["file"]) == Path("x/a.mp3").absolute()
    assert found["windows"] == [
        {"start_seconds": 0, "end_seconds": 45, "mood": "energetic", "p_energetic": 0.6,
         "p_peaceful": 0.2, "p_emotional": 0.2},
        {"start_seconds": 20, "end_seconds": 60, "mood": "peaceful", "p_energetic": 0.2,
         "p_peaceful": 0.6, "p_emotional": 0.2},
    ]  # fmt: skip
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.width > 1000


def test_the_picture_says_what_it_shows():
    words = texts(timeline_figure(song("my song.mp3", unfamiliarity=1.5)))
    assert any(text.startswith("my song.mp3") for text in words)
    assert "the whole song: energetic, 50%; far from what the model learned, so this means " \
        "little" in words  # fmt: skip
    assert {"energetic  50%", "peaceful  25%", "0:10", "1:00", "time [min:s]"} <= set(words)
    words = texts(timeline_figure(song(mood="unsure")))
    assert "the whole song: unsure (likeliest: energetic, 50%)" in words


def test_overlapping_windows_meet_half_way():
    figure = timeline_figure(song(windows=((0, 40), (20, 40)), seconds=60.0))
    bars = figure.axes[1].patches
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0, 30), (30, 30)]


@pytest.mark.parametrize("num_windows", [0, 1, 1000])
def test_one_window_and_a_thousand_are_drawn(tmp_path, num_windows):
    seconds = 3.0 if num_windows < 2 else 36_000.0
    windows = [(seconds / 1000 * i, 45.0) for i in range(num_windows)]
    one = song(windows=windows, seconds=seconds, moods=tuple(f"mood {i}" for i in range(9)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table, _ = write_timeline(one, tmp_path)
    assert len(json.loads(table.read_bytes())["windows"]) == num_windows
    assert all(row["end_seconds"] <= seconds for row in timeline_of(one)["windows"])


def test_songs_of_one_name_do_not_overwrite_each_other(tmp_path):
    written = {write_timeline(song(f"{folder}/a.mp3"), tmp_path) for folder in ("x", "y", "z")}
    assert len(written) == 3
    assert write_timeline(song("y/a.mp3"), tmp_path) in written
    assert len(list(tmp_path.iterdir())) == 6
    assert {Path(json.loads(t.read_bytes())["file"]).parent.name for t, _ in written} == set("xyz")


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be there")
def test_names_of_any_kind_are_written_and_drawn(tmp_path):
    names = ["$x_{1}$\n音楽 é.mp3", os.fsdecode(b"caf\xe9.mp3"), "é" * 125 + ".mp3"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that the font has not, say
        for name in names:
            table, picture = write_timeline(song(name), tmp_path)
            assert json.loads(table.read_bytes())["file"].endswith(name) and picture.is_file()


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MelodaiError, match="could not write"):
        write_timeline(song(), tmp_path / "file")
