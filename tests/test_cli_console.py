"""A console that cannot show something stops nothing, in any command."""

import os
import subprocess
import sys

import pytest

from melodai.cli.progress import ProgressMonitor

COMMAND = """
import os, sys
from pathlib import Path
import typer
from melodai.cli.console import plain_console, readable
from melodai.cli.main import run_script
from melodai.errors import DataError

def command(kept: Path, fails: bool = False) -> None:
    for number in range(1000):
        name = f"{number} \\u65e5\\u672c\\u8a9e \\u2665 \\xe9" + os.fsdecode(b"\\xe9")
        plain_console().print(name)
        typer.echo(name)
        print(name, file=sys.stderr if number == 7 else sys.stdout)
    sys.stdout.flush()
    sys.stdout.buffer.write(b"rows")
    kept.write_text("kept")
    if fails:
        raise DataError("no \\u2665")

run_script(command)
"""
UTF8_OFF = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def start(*arguments, environment=None, **options):
    environment = {**os.environ, **(environment or {})}
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": name} for name in ("ascii", "cp1252", "cp437", "utf-8", "utf-16")]
    + [{"LC_ALL": "C", **UTF8_OFF}, {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "cp1252"}],
    ids=str,
)
def test_letters_that_it_has_not_become_question_marks(tmp_path, environment):
    with start(tmp_path / "kept", environment=environment, stdout=subprocess.PIPE) as process:
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert (tmp_path / "kept").exists() and output.endswith(b"rows") and b"Traceback" not in errors
    encoding = environment.get("PYTHONIOENCODING", "ascii")
    said = output.removesuffix(b"rows").decode("utf-8" if encoding == "ascii" else encoding)
    assert said.count("999 ") == 3 and ("日本語" in said or "???" in said)


def test_the_work_goes_on_when_the_reader_has_left(tmp_path):
    with start(tmp_path / "kept", stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 0 and b"Traceback" not in errors
    assert (tmp_path / "kept").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to play a full disk")
def test_a_full_disk_is_said_and_the_work_done_all_the_same(tmp_path):
    with open("/dev/full", "wb") as full, start(tmp_path / "kept", stdout=full) as process:
        errors = process.stderr.read().decode()
    assert process.returncode == 1 and (tmp_path / "kept").exists()
    assert "error: standard output is cut off: No space left on device" in errors


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors as a POSIX shell does")
def test_streams_that_were_closed_before_are_no_matter(tmp_path):
    command = f'"{sys.executable}" -c "$0" "$1" --fails >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, COMMAND, str(tmp_path / "kept")])
    assert done.returncode == 3 and (tmp_path / "kept").read_text() == "kept"


def test_what_training_says_of_a_file_moves_no_cursor(capsys):
    monitor = ProgressMonitor()
    monitor.message("left out:\n  a\x1b[2J\r:cat:[red].mp3")
    monitor.warning("b\x1b[31m[red].mp3")
    assert capsys.readouterr().out == (
        "left out:\n  a\ufffd[2J\ufffd:cat:[red].mp3\nwarning: b\ufffd[31m[red].mp3\n"
    )
