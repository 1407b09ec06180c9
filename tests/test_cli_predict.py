"""`melodai-predict`: the real command on songs made for it."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from melodai.cli.main import ends_by_its_signal
from melodai.cli.moods import listening
from melodai.cli.predict import predict
from melodai.data.cache import Failure
from melodai.errors import CheckpointError, DataError, SettingError
from melodai.interrupt import Interrupted
from tests.conftest import noise, sine, write_audio
from tests.fuzz_predict import write_broken_files
from tests.runs import make_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
COMMAND = [sys.executable, "-m", "melodai.cli.main", "predict"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("model") / "run")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Three songs, one of them with a strange name, and what is none."""
    folder = tmp_path_factory.mktemp("music")
    for number, name in enumerate(("=1+1, 'x'\n.wav", "low.wav", "sub/high.wav")):
        write_audio(folder / name, noise(5, number) + sine(5, 200 * 4**number))
    (folder / "cover.jpg").touch()
    return folder


@pytest.fixture
def melodai_predict(run):
    """The command within this process; one decoder, and the model of the tests."""

    def call(*arguments, model=run):
        application = typer.Typer()
        application.command()(predict)
        words = [*map(str, arguments), "--model", str(model), "--num-decoders", "1"]
        return CliRunner().invoke(application, words)

    return call


def read_csv(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_songs_come_as_a_table_with_counts(melodai_predict, music):
    done = melodai_predict(music)
    assert done.exit_code == 0, done.output
    assert "sub/high.wav" in done.output and "0:05" in done.output
    assert "3 songs: " in done.output and "100%" in done.output
    assert "1 file in the folders not audio" in done.output
    assert "\n.wav" not in done.output  # a name must not move the cursor


def test_songs_far_from_what_the_model_learned_are_flagged(melodai_predict, music, tmp_path):
    done = melodai_predict(music, "--out", tmp_path / "moods.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "moods.jsonl").read_text().splitlines()]
    assert all(row["unfamiliar"] == (row["unfamiliarity"] > 1) for row in rows)
    far = sum(row["unfamiliar"] for row in rows)
    words = f"{far} song{'s' * (far != 1)} far from what the model learned"
    assert (words in done.output) == (far > 0)


def test_many_songs_are_shortened_to_counts(melodai_predict, music, tmp_path):
    for number in range(45):
        shutil.copy(music / "low.wav", tmp_path / f"{number}.wav")
    done = melodai_predict(tmp_path)
    assert done.output.count(".wav") == 15
    assert "… and 30 more" in done.output and "45 songs: " in done.output


def test_without_a_file_rows_go_to_stdout_and_words_to_stderr(melodai_predict, music):
    done = melodai_predict(music, "--format", "json", "--min-confidence", "1")
    rows = json.loads(done.stdout)
    assert {row["mood"] for row in rows} == {"unsure"} and len(rows) == 3
    assert str(music / "=1+1, 'x'\n.wav") in {row["file"] for row in rows}
    assert "not audio" in done.stderr


def test_files_that_are_no_songs_are_listed_have_rows_and_set_the_exit_code(
    melodai_predict, music, tmp_path
):
    (tmp_path / "empty.mp3").touch()
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"http://radio/x\nempty.mp3\ngone.mp3\n{music}/low.wav\n")
    out = tmp_path / "moods.csv"
    done = melodai_predict(playlist, "--out", out, "-v")
    assert done.exit_code == 1
    assert "2 files could not be listened to" in done.output and "no such file" in done.output
    assert "http://radio/x: on the network" in done.output
    rows = {row["file"]: row for row in read_csv(out)}
    assert rows[str(tmp_path / "empty.mp3")]["error"] == "the file is empty"
    assert rows[str(music / "low.wav")]["mood"] and len(rows) == 3
    again = melodai_predict(playlist, "--out", out, "--resume")
    assert again.exit_code == 1 and "3 songs answered already, 0 to go" in again.output
    assert len(read_csv(out)) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--out", "moods"], SettingError, "does not say the format"),
        (["--resume"], SettingError, "name it"),
        (["--dry-run"], SettingError, "give both"),
        (["--device", "cuda:77"], SettingError, "cuda:77"),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_is_done(
    melodai_predict, music, arguments, error, words
):
    done = melodai_predict(music, *arguments)
    assert isinstance(done.exception, error) and words in str(done.exception)


def test_no_path_shows_the_help_and_a_folder_without_songs_is_named(melodai_predict, tmp_path):
    assert "--min-confidence" in melodai_predict().output
    (tmp_path / "notes.txt").touch()
    done = melodai_predict(tmp_path)
    assert isinstance(done.exception, DataError) and "no songs found" in str(done.exception)
    done = melodai_predict(tmp_path / "notes.txt", model=tmp_path)
    assert isinstance(done.exception, CheckpointError)


def test_an_output_that_is_there_is_kept(melodai_predict, music, tmp_path):
    out = tmp_path / "moods.csv"
    out.write_text("mine")
    done = melodai_predict(music, "--out", out)
    assert isinstance(done.exception, SettingError) and "--force" in str(done.exception)
    assert out.read_text() == "mine"
    assert melodai_predict(music, "--out", out, "--force").exit_code == 0
    done = melodai_predict(music, "--out", out, "--resume", "--min-confidence", "0.9")
    assert "min_confidence was 0.0, is now 0.9" in str(done.exception)


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text, not bytes")
def test_a_name_that_is_not_utf8_survives(melodai_predict, music, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    shutil.copy(music / "low.wav", path)
    for kind in ("csv", "json"):
        out = tmp_path / f"moods.{kind}"
        assert melodai_predict(tmp_path, "--out", out).exit_code == 0
        rows = read_csv(out) if kind == "csv" else json.loads(out.read_text())
        assert rows[0]["file"] == str(path)


def test_playlists_tags_and_their_undoing(melodai_predict, music, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(music, tmp_path / "music")
    low = tmp_path / "music" / "low.wav"
    before = low.read_bytes()
    done = melodai_predict("music", "--tags", "--dry-run")
    assert "low.wav: no mood -> " in done.output and low.read_bytes() == before
    done = melodai_predict("music", "--tags", "--playlists", "lists", "--out", "moods.csv")
    assert "3 files given a mood" in done.output and low.read_bytes() != before
    moods = {row["file"]: row["mood"] for row in read_csv(tmp_path / "moods.csv")}
    playlist = (tmp_path / "lists" / f"{moods['music/low.wav']}.m3u8").read_text()
    assert "../music/low.wav" in playlist.splitlines()
    command = shlex.split(done.output.partition("to take them back:  ")[2])[:3]
    done = melodai_predict(*command[1:])
    assert done.exit_code == 0 and "3 files as before" in done.output
    assert low.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to play a full disk")
def test_a_console_that_can_show_nothing_stops_no_playlists_and_no_tags(run, music, tmp_path):
    shutil.copy(music / "low.wav", tmp_path / "日本語 ♥.wav")
    words = [tmp_path, "--model", run, "--tags", "--playlists", tmp_path / "lists"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp437"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True,
            env=environment, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1 and "No space left" in done.stderr, done.stderr
    assert "../日本語 ♥.wav" in next((tmp_path / "lists").iterdir()).read_text(encoding="utf-8")
    assert len(list(tmp_path.glob("*.undo"))) == 1


def test_the_moods_over_time_are_written(melodai_predict, music, tmp_path):
    done = melodai_predict(music / "low.wav", "--timeline", tmp_path / "times")
    assert f"Timeline: {tmp_path}/times" in done.output
    picture, table = sorted((tmp_path / "times").iterdir(), reverse=True)
    assert len(json.loads(table.read_text())["windows"]) == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_playlists_of_others_are_noticed_before_anything_is_done(melodai_predict, music, tmp_path):
    (tmp_path / "peaceful.m3u8").write_text("mine.mp3")
    done = melodai_predict(music, "--playlists", tmp_path, "--out", tmp_path / "moods.csv")
    assert isinstance(done.exception, SettingError) and "peaceful.m3u8" in str(done.exception)
    assert not (tmp_path / "moods.csv").exists()


def test_a_file_is_gone_on_with_from_any_folder_and_no_song_is_heard_twice(
    melodai_predict, music, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    shutil.copytree(music / "sub", home / "lib" / "one")
    (home / "lib" / "link.wav").symlink_to("one/high.wav")
    monkeypatch.chdir(home)
    assert melodai_predict("lib", "--out", "o.csv").exit_code == 0
    shutil.copytree(music / "sub", home / "lib" / "two")  # the same name again
    home.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved" / "lib" / "two")
    for places in ([".", "../one"], [tmp_path / "moved/lib"], ["../link.wav"]):
        done = melodai_predict(*places, "--out", "../../o.csv", "--resume", "--playlists", "lists")
        assert done.exit_code == 0, done.output
        names = {row["file"] for row in read_csv(tmp_path / "moved" / "o.csv")}
        assert names <= {"lib/link.wav", "lib/one/high.wav", "lib/two/high.wav"} and len(names) == 2
    (playlist,) = (path for path in Path("lists").iterdir())
    assert playlist.read_text().splitlines()[-1] == "../../link.wav"
    done = melodai_predict(".", "--out", "../../o.csv", "--resume", "--tags")
    assert "2 files given a mood" in done.output, done.output


def wait_for_rows(out, number):
    end = time.monotonic() + 60
    while not out.exists() or out.read_bytes().count(b"\n") <= number:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_killed_and_stopped_runs_are_gone_on_with_and_no_row_is_lost_or_doubled(
    melodai_predict, run, music, tmp_path
):
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(120):
        shutil.copy(music / "low.wav", songs / f"{number}, =.wav")
    out = tmp_path / "moods.csv"
    words = [str(songs), "--model", str(run), "--out", str(out), "--batch-size", "2"]
    with subprocess.Popen([*COMMAND, *words]) as first:
        wait_for_rows(out, 10)
        first.send_signal(signal.SIGKILL)
    with out.open("ab") as file:
        file.write(b'"half a row')
    num_rows = len(read_csv(out))
    second = subprocess.Popen(
        [*COMMAND, *words, "--resume"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for_rows(out, num_rows + 10)
    os.killpg(second.pid, signal.SIGINT)  # as Ctrl-C does: the whole group
    said, _ = second.communicate(timeout=20)
    assert second.returncode == 130
    command = said.strip().splitlines()[-1].partition("Go on with:  ")[2]
    assert shlex.split(command)[1:] == [*words, "--resume"]
    assert 20 < len(read_csv(out)) < 120
    third = melodai_predict(*shlex.split(command)[1:])
    assert third.exit_code == 0, third.output
    names = [row["file"] for row in read_csv(out)]
    assert len(names) == 120 == len(set(names))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_exit_code_says_which_signal_it_was(sign):
    def stopped() -> None:
        raise Interrupted(sign)

    application = typer.Typer()
    application.command()(ends_by_its_signal(stopped))
    assert CliRunner().invoke(application).exit_code == 128 + sign


def test_the_bar_says_songs_a_second_and_the_time_left():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    with listening(terminal, is_shown=True, names_songs=False) as watcher:
        watcher.start(30, 0)
        for _ in range(10):
            time.sleep(0.02)
            watcher.answer(Failure(Path("a.mp3"), "silent"))
    shown = terminal.file.getvalue()
    assert re.search(r"10/30.* (\d+\.\d) songs/s, 0:00:\d\d left", shown), shown


def test_processes_of_torchrun_share_the_songs(run, music, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(9):
        shutil.copy(music / "low.wav", songs / f"{number}.wav")
    (songs / "bad.wav").write_bytes(b"RIFF")
    out = tmp_path / "moods.json"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(20000 + os.getpid() % 20000)]
    command = ["-m", "melodai.cli.main", "predict", songs, "--model", run, "--out", out]
    done = subprocess.run(
        [*launcher, *map(str, command)], capture_output=True, text=True, timeout=60
    )
    assert "9 songs: " in done.stdout and "1 file could not be" in done.stdout, done.stderr
    rows = json.loads(out.read_text())
    assert sorted(row["file"] for row in rows) == sorted(map(str, songs.iterdir()))
    assert {path.name for path in tmp_path.iterdir()} == {
        "songs", "moods.json", "moods.json.settings.json",
    }  # fmt: skip


def test_broken_and_strange_files_end_in_a_row_each(melodai_predict, tmp_path):
    number = write_broken_files(tmp_path / "songs", [], count=80, seed=0)
    out = tmp_path / "moods.csv"
    assert melodai_predict(tmp_path / "songs", "--out", out).exit_code == 1
    rows = read_csv(out)
    assert len(rows) == number >= 80
    for row in rows:
        assert bool(row["mood"]) != bool(row["error"])
        assert "decoder" not in row["error"]
