"""Whole lists, by the library and by the scripts in processes of their own."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from melodai.config import DataConfig
from melodai.data.library import read_library
from melodai.errors import DataError, MelodaiError
from melodai_studies.download.songs import download_list
from tests.conftest import noise, write_audio
from tests.web import LOCAL, content, drip, serving, status

SCRIPTS = Path(__file__).parent.parent / "scripts"
LOCALLY = ("--allow-http", "--allow-private", "--delay", "0", "--seconds", "5")


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """Bytes of an mp3 of 6 seconds, different for each number."""
    folder = tmp_path_factory.mktemp("songs")

    def make(number):
        sound = noise(6, number, 16000)
        path = write_audio(folder / f"{number}.mp3", sound, 16000, artist=f"Artist {number}")
        return path.read_bytes()

    return make


@pytest.fixture
def site():
    with serving() as running:
        yield running


def write_list(path, *rows, header="mood,url,artist,title,licence,sha256"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def names_in(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".download" not in path.parts
    )


def script(name, *arguments, **options):
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, env=environment, **options
    )


def test_a_list_becomes_a_folder_that_can_be_trained_on(tmp_path, site, song):
    data = [song(number) for number in range(4)]
    site.answers["/one.mp3"] = content(data[0])
    site.answers["/two"] = content(data[1], Content_Type="text/plain")
    site.answers["/three.ogg"] = content(data[2])
    site.answers["/moved"] = status(302, Location="/three.ogg")
    site.answers["/four.mp3"] = content(
        data[3], Content_Disposition='attachment; filename="../../evil.sh"'
    )
    site.answers["/..%2f..%2fetc%2fpasswd.mp3"] = content(data[3] + b"\0")
    songs = write_list(
        tmp_path / "list.csv",
        f"Party;{site.url('/one.mp3')};Motörhead;Ace / Spades;CC BY;{sha256(data[0]).upper()}",
        f"sad;{site.url('/two')};;;;",
        "",
        f"calm;{site.url('/moved')};A;B;;",
        f"calm;{site.url('/four.mp3')};a;b;;",
        f"calm;{site.url('/four.mp3')};a;b;;",
        f"romantic;{site.url('/..%2f..%2fetc%2fpasswd.mp3')};;;;",
        header="\ufeffMOOD; URL ;Artist;TITLE;Licence;sha256",
    )
    progress = []
    downloads = download_list(
        songs, tmp_path / "data", LOCAL, seconds=5, on_progress=lambda *args: progress.append(args)
    )
    assert (downloads.failures, downloads.new) == ([], 5)
    assert progress[-1][:2] == (5, 5)
    assert sum(new for _, _, new in progress) == 5 * len(data[0]) + 1
    assert names_in(tmp_path / "data") == [
        "calm/A - B.mp3",
        "calm/a - b (2).mp3",
        "manifest.csv",
        "party/Motörhead - Ace Spades.mp3",
        "romantic/etc passwd.mp3",
        "sad/two.mp3",
    ]
    assert {path.name for path in (tmp_path / "data" / ".download").iterdir()} == {"lock"}
    first, second = rows_of(downloads.manifest)[:2]
    assert (first["artist"], first["title"]) == ("Motörhead", "Ace / Spades")
    assert (first["licence"], first["source_sha256"]) == ("CC BY", sha256(data[0]))
    assert second["artist"] == "Artist 1"  # from its tags
    path = tmp_path / "data" / second["file"]
    assert second["sha256"] == sha256(path.read_bytes())

    for source in (downloads.manifest, tmp_path / "data"):
        library = read_library(DataConfig(data=source, moods="five"))
        assert {track.mood for track in library.tracks} == {"party", "sad", "calm", "romantic"}
        assert all(track.path.is_file() for track in library.tracks)
        assert len(library.tracks) == 5
    assert read_library(DataConfig(data=downloads.manifest)).warnings == ()

    before = len(site.requests)
    again = download_list(songs, tmp_path / "data", LOCAL, seconds=5)
    assert (again.finished, again.new, len(site.requests)) == (5, 0, before)


def test_what_fails_has_a_reason_and_does_not_stop_the_others(tmp_path, site, song):
    site.answers["/good.mp3"] = content(song(0))
    page = b"<!doctype html><title>Song</title>"
    site.answers["/html.mp3"] = content(page)
    site.answers["/text.mp3"] = content(b"no song at all " * 1000)
    site.answers["/other.mp3"] = content(song(1))
    site.answers["/page"] = content(page, Content_Type="text/html")
    songs = write_list(
        tmp_path / "list.csv",
        *(f"sad,{site.url(path)},,,," for path in ("/html.mp3", "/text.mp3", "/none.mp3")),
        f"sad,{site.url('/other.mp3')},,,,{'0' * 64}",
        f"sad,{site.url('/page')},,,,",
        "sad,http://nowhere.invalid/a.mp3,,,,",
        f"sad,{site.url('/good.mp3')},,,,",
    )
    downloads = download_list(songs, tmp_path / "data", LOCAL, seconds=5)
    reasons = {line: reason for line, _, reason in downloads.failures}
    for line, words in {
        2: "web page",
        3: "not usable as audio: not an audio file",
        4: "404",
        5: "another file than expected",
        6: "web page",
        7: "not found",
    }.items():
        assert words in reasons.pop(line)
    assert reasons == {}
    assert names_in(tmp_path / "data") == ["manifest.csv", "sad/good.mp3"]
    assert len(list((tmp_path / "data" / ".download").glob("*.part"))) == 0


def test_wrong_rows_are_named_by_line_before_anything_is_asked_for(tmp_path, site, song):
    site.answers["/a.mp3"] = content(song(0))
    url = site.url("/a.mp3")
    songs = write_list(
        tmp_path / "list.csv",
        f"sad,{url},,,,",
        "",
        f"groovy,{url}?1,,,,",
        f",{url}?2,,,,",
        "sad,,A,B,,",
        "sad,ftp://example.org/a.mp3,,,,",
        f"sad,{url}?3,,,,abc",
        f"calm,{url},,,,",
    )
    with pytest.raises(DataError) as caught:
        download_list(songs, tmp_path / "data", LOCAL)
    for words in (
        "line 5: no mood", "line 6: no url",
        "line 7: 'ftp://example.org/a.mp3': only https", "line 8: sha256 'abc'",
        "line 9: " + url + " is on line 2",
    ):  # fmt: skip
        assert words in str(caught.value)
    assert site.requests == []
    assert not (tmp_path / "data").exists()
    with pytest.raises(DataError, match="url is missing"):
        download_list(write_list(tmp_path / "x.csv", header="mood,link"), tmp_path, LOCAL)


def test_a_file_that_changed_comes_again_and_one_with_a_new_mood_moves(tmp_path, site, song):
    site.answers["/a.mp3"] = content(song(0))
    site.answers["/b.mp3"] = content(song(1))
    data = tmp_path / "data"
    foreign = data / "sad" / "a.wav"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    urls = [site.url("/a.mp3"), site.url("/b.mp3")]
    first = write_list(tmp_path / "1.csv", *(f"sad,{url},,,," for url in urls))
    download_list(first, data, LOCAL, seconds=5)
    assert names_in(data) == ["manifest.csv", "sad/a (2).mp3", "sad/a.wav", "sad/b.mp3"]
    (data / "sad" / "a (2).mp3").write_bytes(b"damaged")
    rows = rows_of(data / "manifest.csv")
    with (data / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "votes"])
        writer.writeheader()
        writer.writerows({**row, "votes": "7"} for row in rows)

    second = write_list(tmp_path / "2.csv", f"sad,{urls[0]},,,,", f"calm,{urls[1]},,,,")
    downloads = download_list(second, data, LOCAL, seconds=5)
    assert (downloads.finished, downloads.new) == (1, 1)
    assert names_in(data) == ["calm/b.mp3", "manifest.csv", "sad/a (2).mp3", "sad/a.wav"]
    rows = rows_of(data / "manifest.csv")
    assert [(row["file"], row["mood"], row["votes"]) for row in rows] == [
        ("sad/a (2).mp3", "sad", "7"),
        ("calm/b.mp3", "calm", "7"),
    ]
    assert foreign.read_bytes() == b"mine"
    assert site.paths() == ["/a.mp3", "/b.mp3", "/a.mp3"]


def test_hosts_are_served_side_by_side_but_each_by_one_connection(tmp_path, site, song):
    for number in range(2):
        site.answers[f"/{number}"] = drip(song(number), site, 0.05, len(song(number)) // 4)
    rows = [
        f"sad,{site.url(f'/{number}', host)},{host},{number},,"
        for host in ("127.0.0.1", "localhost")
        for number in range(2)
    ]
    songs = write_list(tmp_path / "list.csv", *rows)
    downloads = download_list(songs, tmp_path / "data", LOCAL, seconds=5)
    assert downloads.new == 4
    assert site.most_at_once == 2


def test_a_folder_is_filled_by_one_program_at_a_time(tmp_path, site, song):
    site.answers["/a.mp3"] = content(song(0))
    songs = write_list(tmp_path / "list.csv", f"sad,{site.url('/a.mp3')},,,,")
    lock = tmp_path / "data" / ".download" / "lock"
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock), pytest.raises(MelodaiError, match="another download"):
        download_list(songs, tmp_path / "data", LOCAL)
    assert download_list(songs, tmp_path / "data", LOCAL).failures == []


def test_the_script_lists_failures_and_says_how_to_train(tmp_path, site, song):
    site.answers["/a.mp3"] = content(song(0))
    songs = write_list(
        tmp_path / "list.csv", f"sad,{site.url('/a.mp3')},,,,", f"sad,{site.url('/none')},,,,"
    )
    done = script("download_songs.py", songs, "--out", tmp_path / "data", *LOCALLY)
    assert done.returncode == 1
    assert "1 downloaded, 0 there before, 1 failed" in done.stdout
    assert f"melodai-train --data {tmp_path / 'data' / 'manifest.csv'}" in done.stdout
    assert f"line 3: {site.url('/none')}: 127.0.0.1 answers 404 (Not Found)" in done.stderr
    wrong = script("download_songs.py", songs)
    assert wrong.returncode == 3
    assert "error:" in wrong.stderr and "--allow-http" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_script_resumes_where_it_was(tmp_path, site, song, sign):
    for number in range(2):
        site.answers[f"/{number}.mp3"] = content(song(number))
    slow = song(2)
    site.answers["/2.mp3"] = drip(slow, site, 0.05, len(slow) // 100)
    site.answers["/3.mp3"] = content(song(3))
    songs = write_list(
        tmp_path / "list.csv", *(f"sad,{site.url(f'/{number}.mp3')},,,," for number in range(4))
    )
    data = tmp_path / "data"
    arguments = [str(songs), "--out", str(data), *LOCALLY]
    command = [sys.executable, str(SCRIPTS / "download_songs.py"), *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not any(path.stat().st_size > 3000 for path in (data / ".download").glob("*.part")) or (
        "/2.mp3" not in site.paths()
    ):
        assert time.monotonic() < end
        time.sleep(0.02)
    running.send_signal(sign)
    said, _ = running.communicate(timeout=60)
    if sign == signal.SIGINT:
        assert running.returncode == 130
        assert "2 songs are left: the same command resumes" in said
    finished = names_in(data)
    assert finished == ["manifest.csv", "sad/0.mp3", "sad/1.mp3"]
    asked = len(site.requests)

    site.answers["/2.mp3"] = content(slow, etag='"drip"')
    done = script("download_songs.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert "2 downloaded, 2 there before, 0 failed" in done.stdout
    assert site.paths()[asked:] == ["/2.mp3", "/3.mp3"]
    assert "Range" in site.requests[asked].headers
    assert names_in(data) == ["manifest.csv", *(f"sad/{number}.mp3" for number in range(4))]
    rows = rows_of(data / "manifest.csv")
    assert [row["file"] for row in rows] == [f"sad/{number}.mp3" for number in range(4)]
    assert rows[2]["source_sha256"] == sha256(slow)
