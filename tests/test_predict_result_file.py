"""Result files are read back as they were meant, survive kills and are not mixed up."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from melodai.audio import Hearing
from melodai.data.cache import Failure
from melodai.errors import DataError, MelodaiError, SettingError
from melodai.predict.result_file import ResultFile, format_of
from melodai.predict.results import SongMood
from melodai.predict.rows import Row, row_of

MOODS = ("calm", "wild")
NAMES = [
    "plain.mp3",
    'commas, "quotes" and\nlines\r\n.mp3',
    "=HYPERLINK(1)",
    "+1.mp3",
    "-1.mp3",
    "@x.mp3",
    "\tx.mp3",
    "'quoted'.mp3",
    "'=both.mp3",
    "thé 音.mp3",
    os.fsdecode(b"caf\xe9.mp3"),
    '"',
]
KINDS = ("csv", "json", "jsonl")


def row(name, mood="calm"):
    return Row(
        file=name, mood=mood, confidence=0.75, probabilities=(0.75, 0.25), seconds=61.5,
        lost_seconds=2.0, unfamiliarity=1.25, remarks="=damaged: 2.0 s lost",
    )  # fmt: skip


ROWS = [*map(row, NAMES), Row(file="=bad.mp3", error="-no, really"), row("last")]


def result_file(path, **settings):
    return ResultFile(path, path.suffix[1:], MOODS, {"model": "abc", "moods": MOODS, **settings})


def write(path, rows=ROWS, **how):
    result = result_file(path)
    result.prepare(**how)
    for one in rows:
        result.append(one)
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_read_back_as_they_were(tmp_path, kind):
    result = write(tmp_path / f"moods.{kind}")
    assert list(result.rows()) == ROWS


def test_csv_is_what_the_csv_module_reads_and_no_cell_is_a_formula(tmp_path):
    write(tmp_path / "moods.csv").finish()
    text = (tmp_path / "moods.csv").read_bytes().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert list(rows[0]) == [
        "file", "mood", "confidence", "p_calm", "p_wild", "seconds", "lost_seconds",
        "unfamiliarity", "unfamiliar", "remarks", "error",
    ]  # fmt: skip
    assert [one["file"].removeprefix("'") for one in rows] == [one.file for one in ROWS]
    for one in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in one.values())
    assert (rows[0]["p_calm"], rows[0]["unfamiliar"], rows[0]["seconds"]) == (
        "0.75",
        "true",
        "61.5",
    )
    assert (rows[-2]["error"], rows[-2]["mood"], rows[-2]["p_calm"]) == ("'-no, really", "", "")


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_json_is_exact(tmp_path, kind):
    path = tmp_path / f"moods.{kind}"
    write(path).finish()
    text = path.read_text(encoding="ascii")
    rows = json.loads(text) if kind == "json" else [json.loads(x) for x in text.splitlines()]
    assert [one["file"] for one in rows] == [one.file for one in ROWS]
    assert rows[0] == {
        "file": "plain.mp3", "mood": "calm", "confidence": 0.75, "p_calm": 0.75, "p_wild": 0.25,
        "seconds": 61.5, "lost_seconds": 2.0, "unfamiliarity": 1.25, "unfamiliar": True,
        "remarks": "=damaged: 2.0 s lost", "error": None,
    }  # fmt: skip
    assert rows[-2]["mood"] is None and rows[-2]["error"] == "-no, really"


def test_an_answer_becomes_a_row():
    song = SongMood(
        file=Path("a.mp3"), mood="unsure", confidence=0.5000004, moods=MOODS,
        probabilities=(0.5000004, 0.4999996), hearing=Hearing(3.00049, ((0.0, 60.0),), 2.0),
        unfamiliarity=float("nan"), windows=(),
    )  # fmt: skip
    assert row_of(song) == Row(
        file="a.mp3", mood="unsure", confidence=0.5, probabilities=(0.5, 0.5), seconds=3.0,
        lost_seconds=2.0, remarks="damaged: 2.0 s lost; 60 s silent",
    )  # fmt: skip
    assert row_of(Failure(Path("b.mp3"), "silent")) == Row(file="b.mp3", error="silent")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_is_gone_on_with_after_its_last_whole_row(tmp_path, kind):
    result = write(tmp_path / f"moods.{kind}")
    result.close()
    journal = result._journal
    content = journal.read_bytes()
    for length in range(0, len(content), 29):
        journal.write_bytes(content[:length])
        again = result_file(result.path)
        again.prepare(resume=True)
        there = list(again.rows())
        assert there == ROWS[: len(there)]
        for one in ROWS[len(there) :]:
            again.append(one)
        again.close()
        assert journal.read_bytes() == content


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_file_takes_up_more_songs(tmp_path, kind):
    path = tmp_path / f"moods.{kind}"
    for rows in (ROWS[:5], ROWS[5:]):
        result = write(path, rows, resume=True)
        result.finish()
        result.discard_journal()
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, f"{path.name}.settings.json"}
    again = result_file(path)
    again.prepare(resume=True)
    assert list(again.rows()) == ROWS
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_file_that_is_there_is_neither_overwritten_nor_mixed_up(tmp_path):
    path = tmp_path / "moods.csv"
    write(path).finish()
    before = path.read_bytes()
    with pytest.raises(SettingError, match=r"moods\.csv is there already.*--resume.*--force"):
        result_file(path).prepare()
    with pytest.raises(SettingError, match="model was abc, is now xyz"):
        result_file(path, model="xyz").prepare(resume=True)
    (tmp_path / "moods.csv.settings.json").unlink()
    with pytest.raises(SettingError, match="cannot be gone on with"):
        result_file(path).prepare(resume=True)
    assert path.read_bytes() == before
    result_file(path, model="xyz").prepare(force=True)
    assert list(result_file(path).rows()) == []


def test_a_file_that_was_changed_meanwhile_is_refused(tmp_path):
    for kind, damage in (
        ("csv", b",one,more\r\n"),
        ("jsonl", b'{"file": 3}\n'),
        ("json", b"[1, 2"),
    ):
        path = tmp_path / f"moods.{kind}"
        result = write(path)
        result.finish()
        result.discard_journal()
        path.write_bytes(path.read_bytes()[:-3] + damage)
        again = result_file(path)
        with pytest.raises(DataError, match="changed"):
            again.prepare(resume=True)
            list(again.rows())


WRITER = """
import pathlib, sys
from melodai.predict.result_file import ResultFile
from tests.test_predict_result_file import row, result_file
result = result_file(pathlib.Path(sys.argv[1]))
result.prepare(resume=True)
for number in range(len(list(result.rows())), 10**6):
    result.append(row(f"song, {number}\\n" + "x" * 3000))
    print("row", flush=True)
"""


def test_a_kill_loses_and_doubles_no_row(tmp_path):
    path = tmp_path / "moods.csv"
    for _ in range(2):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"row\n"
            time.sleep(0.1)
            writer.send_signal(signal.SIGKILL)
    result = result_file(path)
    result.prepare(resume=True)
    numbers = [int(one.file.split()[1]) for one in result.rows()]
    assert numbers == list(range(len(numbers))) and len(numbers) > 20


def test_parts_are_merged_once_each_row(tmp_path):
    path = tmp_path / "moods.csv"
    result = write(path, [row("a"), row("b")])
    for rank, names in enumerate((["b", "c"], ["d"])):
        part = result.part(rank)
        for name in names:
            part.append(row(name))
        part.close()
    with (tmp_path / "moods.csv.part-1").open("ab") as file:
        file.write(b'{"file": "half')
    result.merge_parts()
    assert [one.file for one in result.rows()] == ["a", "b", "c", "d"]
    assert not result.parts()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to play a full disk")
def test_a_full_disk_is_told(tmp_path):
    path = tmp_path / "moods.csv"
    result = write(path, [])
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(MelodaiError, match="No space left on device; make room"):
        result.append(row("a"))


def test_the_format_is_the_one_named_or_that_of_the_name():
    assert format_of(Path("a.CSV"), None) == "csv"
    assert format_of(Path("a.csv"), "jsonl") == "jsonl"
    with pytest.raises(SettingError, match="does not say the format"):
        format_of(Path("moods"), None)
    with pytest.raises(SettingError, match="'xml' is unknown"):
        format_of(Path("a.csv"), "xml")
