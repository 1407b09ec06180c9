"""Files, folders and playlists become one list of songs."""

import os
import sys

import pytest

from melodai.data.folders import read_folders
from melodai.errors import DataError
from melodai.predict.songs import find_songs


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(songs, root):
    return [path.relative_to(root).as_posix() for path in songs.paths]


def test_a_folder_is_gone_through_in_order_without_hidden_and_other_files(tmp_path):
    touch(*(tmp_path / name for name in ("b.mp3", "a/z.FLAC", "a/cover.jpg", "notes.txt")))
    touch(*(tmp_path / name for name in (".hidden.mp3", ".trash/x.mp3", "a/._z.mp3")))
    songs = find_songs([tmp_path])
    assert names(songs, tmp_path) == ["b.mp3", "a/z.FLAC"]
    assert songs.num_ignored == 2


@pytest.mark.parametrize(
    "name", ["#recycle", "@Recycle", "$RECYCLE.BIN", "lost+found", ".Trash-1000", "@eaDir"]
)
def test_what_was_thrown_away_is_not_searched_unless_it_is_named(tmp_path, name):
    touch(
        tmp_path / "party" / "a.mp3",
        tmp_path / name / "b.mp3",
        tmp_path / "party/x" / name / "c.mp3",
    )
    assert names(find_songs([tmp_path]), tmp_path) == ["party/a.mp3"]
    assert names(find_songs([tmp_path / name]), tmp_path) == [f"{name}/b.mp3"]
    library = read_folders(tmp_path)
    assert [track.name for track in library.tracks] == ["party/a.mp3"] and not library.warnings


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path):
    touch(tmp_path / "song.dat")
    assert names(find_songs([tmp_path / "song.dat"]), tmp_path) == ["song.dat"]


def test_a_song_that_is_named_twice_is_taken_once(tmp_path):
    touch(tmp_path / "a.mp3", tmp_path / "b.mp3")
    (tmp_path / "c.mp3").symlink_to("a.mp3")
    songs = find_songs([tmp_path / "b.mp3", tmp_path, tmp_path / "." / "a.mp3"])
    assert names(songs, tmp_path) == ["b.mp3", "a.mp3"]
    assert songs.num_duplicates == 3


def test_links_that_go_in_circles_are_survived(tmp_path):
    touch(tmp_path / "one" / "a.mp3")
    (tmp_path / "one" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to("self")
    elsewhere = tmp_path.with_name(tmp_path.name + "-elsewhere")
    touch(elsewhere / "linked.mp3")
    (tmp_path / "link").symlink_to(elsewhere, target_is_directory=True)
    assert names(find_songs([tmp_path]), tmp_path) == ["link/linked.mp3", "one/a.mp3"]


def test_playlists_are_relative_to_themselves(tmp_path):
    touch(tmp_path / "music" / "a, b.mp3", tmp_path / "c.mp3")
    playlist = tmp_path / "lists" / "mix.m3u8"
    touch(playlist)
    playlist.write_text(
        "\ufeff#EXTM3U\n#EXTINF:1,x\n../music/a, b.mp3\r\n\n"
        f"{tmp_path}/c.mp3\nfile://{tmp_path}/music/a%2C%20b.mp3\n..\\c.mp3\nmissing.mp3\n",
        encoding="utf-8",
    )
    songs = find_songs([playlist])
    assert [os.path.relpath(path, tmp_path / "lists") for path in songs.paths] == [
        "../music/a, b.mp3", "../c.mp3", "missing.mp3",
    ]  # fmt: skip
    assert songs.num_duplicates == 2


def test_a_pls_playlist_is_read(tmp_path):
    touch(tmp_path / "a=1.mp3")
    (tmp_path / "mix.pls").write_text("[playlist]\nFile1=a=1.mp3\nTitle1=x.mp3\nLength1=3\n")
    assert names(find_songs([tmp_path / "mix.pls"]), tmp_path) == ["a=1.mp3"]


def test_what_is_no_file_in_a_playlist_is_told(tmp_path):
    touch(tmp_path / "a.mp3", tmp_path / "other.m3u")
    (tmp_path / "mix.m3u").write_bytes(
        b"http://radio/stream.mp3\nHTTPS://x/y\nother.m3u\n.\nx\0y.mp3\na.mp3\n"
    )
    songs = find_songs([tmp_path / "mix.m3u"])
    assert names(songs, tmp_path) == ["a.mp3"]
    reasons = [skipped.reason for skipped in songs.skipped]
    assert ["network" in r for r in reasons] == [True, True, False, False, False]
    assert len(reasons) == 5 and "playlist" in reasons[2] and "folder" in reasons[3]


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text, not bytes")
def test_names_that_are_not_utf8_are_found(tmp_path):
    latin = os.fsdecode(b"caf\xe9.mp3")
    touch(tmp_path / latin, tmp_path / "thé.mp3")
    (tmp_path / "mix.m3u").write_bytes(b"caf\xe9.mp3\nth\xe9.mp3\n")
    assert names(find_songs([tmp_path / "mix.m3u"]), tmp_path) == [latin, "thé.mp3"]
    assert set(names(find_songs([tmp_path]), tmp_path)) == {latin, "thé.mp3"}


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no .*nowhere"):
        find_songs([tmp_path / "nowhere"])


def test_a_folder_with_rubbish_is_said_to_hold_no_songs(tmp_path):
    touch(tmp_path / "a.txt", tmp_path / "b.jpg")
    with pytest.raises(DataError, match=r"no songs found in .*files there that are not audio: 2"):
        find_songs([tmp_path])
    (tmp_path / "radio.pls").write_text("File1=http://radio/x\n")
    with pytest.raises(DataError, match="on the network"):
        find_songs([tmp_path / "radio.pls"])
