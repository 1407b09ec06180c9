"""Playlists of other programs lead to the songs that they mean."""

import os
import sys
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from melodai.predict.song_lists import read_playlist

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes names of other systems")
NAME = "Noël & Michèle #1 50%.mp3"
NFD = unicodedata.normalize("NFD", NAME)
ADDRESS = quote(NAME)


@pytest.fixture
def library(tmp_path):
    """One song, accents apart as macOS writes them, and the folder of the playlists beside it."""
    for folder in ("Music/Björk", "Music/lists"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "Music" / "Björk" / NFD).touch()
    return tmp_path / "Music"


def lines(*entries):
    return "#EXTM3U\r\n" + "".join(f"#EXTINF:5,x\r\n{entry}\r\n" for entry in entries)


def xspf(*entries):
    tracks = "".join(f"<track><location>\n{entry} </location></track>" for entry in entries)
    return f'<?xml version="1.0" encoding="UTF-8"?><playlist><trackList>{tracks}</trackList>'


ENTRIES = {
    "plain": f"../Björk/{NAME}", "nfd": f"../Björk/{NFD}", "percent": f"../Bj%C3%B6rk/{ADDRESS}",
    "windows": f"..\\Björk\\{NAME}", "capitals": f"../BJÖRK/{NAME.upper()}",
    "drive": f"C:\\Users\\me\\Music\\Björk\\{NAME}", "drive address": f"file:///D:/Music/Bj%C3%B6rk/{ADDRESS}",
    "share": f"\\\\nas\\music\\Björk\\{NAME}", "same drive": f"\\Music\\Björk\\{NAME}",
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("entry", [*ENTRIES, "absolute", "file", "localhost", "raw", "File"])
def test_each_way_to_write_a_name_leads_to_the_file(library, entry, encoding):
    there = library / "Björk" / NFD
    address = quote(str(there))
    text = ENTRIES.get(entry) or {
        "absolute": f"{library}/Björk/{NAME}", "file": f"file://{address}",
        "File": f"File:{address}", "localhost": f"file://localhost{address}",
        "raw": f"file://{there}",
    }[entry]  # fmt: skip
    playlist = library / ("lists/x.m3u8" if entry in ENTRIES else "x.m3u")
    if entry in ("drive", "drive address", "share", "same drive"):
        playlist = library / "x.m3u"
    playlist.write_bytes(lines(text).encode(encoding))
    (found,), skipped = read_playlist(playlist)
    assert found.samefile(there) and not skipped


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xspf", xspf(f"Bj%C3%B6rk/{ADDRESS}")),
        ("a.wpl", f'<?wpl version="1.0"?><smil><media src="Björk\\{NAME.replace("&", "&amp;")}"/>'),
        ("a.zpl", f'<smil><body><seq><media duration="5" src="Björk/{NAME}"></seq></body></smil>'),
        ("a.asx", f'<ASX><TITLE>A & B</TITLE><Entry><Ref HREF = "Björk\\{NAME}" /></Entry>'),
        ("a.pls", f"[playlist]\r\nFile1 = Björk\\{NAME}\r\nTitle1=x.mp3\r\nLength1=-1\r\n"),
    ],
)  # fmt: skip
def test_lists_of_other_kinds_are_read(library, name, text):
    (library / name).write_text(text, encoding="utf-8")
    (found,), skipped = read_playlist(library / name)
    assert found.samefile(library / "Björk" / NFD) and not skipped


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("cp1252", "thé.mp3"),
        ("cp1251", "Песня/мир.mp3"),
        ("cp932", "日本語ソ.mp3"),
        ("gb18030", "中文歌.mp3"),
    ],
)
def test_code_pages_are_told_by_the_files_that_are_there(tmp_path, page, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "x.m3u").write_bytes(name.replace("/", "\\").encode(page) + b"\r\n")
    assert read_playlist(tmp_path / "x.m3u") == ([tmp_path / name], [])


def test_a_name_as_it_stands_comes_before_all_readings(tmp_path):
    names = ["a%20b.mp3", "a b.mp3", "B.mp3", "b.mp3", "c\\d.mp3", "e\u2028f.mp3"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "x.m3u8").write_text("\n".join(names), encoding="utf-8")
    assert read_playlist(tmp_path / "x.m3u8")[0] == [tmp_path / name for name in names]


def test_what_is_not_there_keeps_its_name_and_addresses_are_skipped(tmp_path):
    gone = ["gone.mp3", "x" * 300, "C:\\Music\\gone.mp3", "/nowhere/gone.mp3"]
    addresses = ["http://radio/x", "HTTPS://x/y%20z.mp3", "rtsp://x/y", "smb://nas/a.mp3"]
    (tmp_path / "x.m3u").write_text(lines(*gone, *addresses, "\0"))
    files, skipped = read_playlist(tmp_path / "x.m3u")
    assert files == [tmp_path / gone[0], tmp_path / gone[1], Path(gone[2]), Path(gone[3])]
    assert [entry.what for entry in skipped[:-1]] == addresses
    assert ["network" in entry.reason for entry in skipped] == [True] * 4 + [False]


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text, not bytes")
def test_names_are_bytes_where_the_system_knows_no_utf8(tmp_path, monkeypatch):
    (tmp_path / "日本.mp3").touch()
    (tmp_path / "x.m3u8").write_bytes(lines("日本.mp3", quote("日本.mp3")).encode())
    read = "import sys; from pathlib import Path; from melodai.predict import song_lists as it\n"
    read += "sys.exit(not all(path.exists() for path in it.read_playlist(Path(sys.argv[1]))[0]))"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", read, str(tmp_path / "x.m3u8")]
    assert os.spawnve(os.P_WAIT, sys.executable, command, environment) == 0
