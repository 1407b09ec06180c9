"""Pages of sites, with a stand-in for yt-dlp that writes down how it was called."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from melodai.errors import DownloadError
from melodai_studies.download.page import fetch_from_page, program
from tests.web import LOCAL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs executable scripts")

PROGRAM = """#!{python}
import json, os, pathlib, subprocess, sys, time
pathlib.Path({log!r}).write_text(json.dumps({{"arguments": sys.argv[1:], "cwd": os.getcwd()}}))
{does}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a program of this name first on the path; returns what it was called with."""
    folder, log = tmp_path / "bin", tmp_path / "log.json"
    folder.mkdir()

    def install(does):
        path = folder / "yt-dlp"
        path.write_text(PROGRAM.format(python=sys.executable, log=str(log), does=does))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder) + os.pathsep + os.environ["PATH"])
        return lambda: json.loads(log.read_text())

    return install


def test_without_it_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    if program() is not None:
        pytest.skip("yt-dlp is installed beside Python")
    with pytest.raises(DownloadError, match="a web page, not an audio file"):
        fetch_from_page("https://example.org/", tmp_path / "work", LOCAL)


def test_it_is_called_without_a_shell_or_configuration_and_with_limits(tmp_path, install):
    said = install("pathlib.Path('song.m4a').write_bytes(b'sound')")
    url = "https://example.org/--exec=reboot;$(reboot)"
    path = fetch_from_page(url, tmp_path / "work", LOCAL)
    assert path == tmp_path / "work" / "song.m4a"
    call = said()
    arguments = call["arguments"]
    assert arguments[-2:] == ["--", url]
    assert {"--ignore-config", "--no-playlist", "--no-exec", "--max-filesize"} <= set(arguments)
    assert Path(call["cwd"]).resolve() == (tmp_path / "work").resolve()


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("sys.exit('ERROR: Video \\x1b[31munavailable')", r"no song from the page: Video \[31mun"),
        ("pass", "no song from the page: exit code 0"),
        ("pathlib.Path('song.txt').write_text('x')", "no song"),
        ("pathlib.Path('song.m4a').write_bytes(bytes(10**6))", "larger than"),
        ("time.sleep(30)", r"more than 1 s"),
    ],
)
def test_what_goes_wrong_is_a_sentence(tmp_path, install, does, words):
    install(does)
    rules = replace(LOCAL, total_seconds=1, max_bytes=500_000)
    began = time.monotonic()
    with pytest.raises(DownloadError, match=words):
        fetch_from_page("https://example.org/", tmp_path / "work", rules)
    assert time.monotonic() - began < 10
