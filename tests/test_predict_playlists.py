"""Playlists hold the songs they should, whatever the songs are called."""

import os
import sys
from pathlib import Path

import av
import pytest

from melodai.audio import Hearing
from melodai.errors import MelodaiError, SettingError
from melodai.predict.playlists import write_playlists
from melodai.predict.results import SongMood
from melodai.predict.rows import Row
from melodai.predict.song_lists import read_playlist
from tests.conftest import sine, write_audio

MOODS = ("calm", "wild")
NAMES = [
    "plain.mp3", "#1 hit.mp3", " spaces .mp3", "ends in space.mp3 ", "two\nlines.mp3",
    "thé 音 \u2028.mp3", "http:x.mp3", "100%25 a&b.mp3", "a, \"b\" 'c'.mp3", ".hidden.mp3",
]  # fmt: skip


def song(file, mood="calm", **more):
    values = {
        "confidence": 0.8, "moods": MOODS, "probabilities": (0.8, 0.2), "hearing": Hearing(61.6),
        "unfamiliarity": 0.5, "windows": (),
    }  # fmt: skip
    return SongMood(file=Path(file), mood=mood, **values | more)


def touch(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def entries(path):
    """The files of a playlist as a simple player finds them."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [path.parent / line for line in lines if line and not line.startswith("#")]


def test_each_mood_has_a_playlist_of_its_songs_in_their_order(tmp_path):
    songs = [song("b.mp3"), song("a.mp3"), song("c.mp3", "wild"), song("d.mp3", "unsure")]
    paths = write_playlists(iter(songs), tmp_path, MOODS)
    assert [path.name for path in paths] == ["calm.m3u8", "wild.m3u8", "unsure.m3u8"]
    here = Path.cwd()
    assert [path.resolve() for path in entries(paths[0])] == [here / "b.mp3", here / "a.mp3"]


def test_title_artist_and_length_stand_in_the_playlist(tmp_path):
    songs = [
        song("1.mp3", artist="Ann\r\n#EXTM3U", title="So, what"), song("2.mp3", title="Two"),
        song("3.mp3"), (Path("4.mp3"), "calm"), Row(file="5.mp3", mood="calm", seconds=59.7),
    ]  # fmt: skip
    (path,) = write_playlists(songs, tmp_path, MOODS)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert [line for line in lines if line.startswith("#EXTINF")] == [
        "#EXTINF:62,Ann #EXTM3U - So, what", "#EXTINF:62,Two", "#EXTINF:62,3", "#EXTINF:-1,4",
        "#EXTINF:60,5",
    ]  # fmt: skip


def test_paths_are_relative_so_that_music_and_playlists_can_move_together(tmp_path):
    touch(tmp_path / "one" / "music", ["a.mp3"])
    (path,) = write_playlists(
        [song(tmp_path / "one" / "music" / "a.mp3")], tmp_path / "one" / "lists", MOODS
    )
    assert "../music/a.mp3" in path.read_text().splitlines()
    (tmp_path / "one").rename(tmp_path / "two")
    (found,) = entries(tmp_path / "two" / "lists" / "calm.m3u8")
    assert found.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be there")
def test_songs_of_any_name_are_found_again(tmp_path):
    files = touch(tmp_path / "music", [*NAMES, os.fsdecode(b"caf\xe9.mp3")])
    (path,) = write_playlists([song(file) for file in files], tmp_path / "lists", MOODS)
    found, skipped = read_playlist(path)
    assert not skipped
    assert [entry.resolve() for entry in found] == [file.resolve() for file in files]
    assert path.read_bytes().decode("utf-8")


def test_the_files_play(tmp_path):
    file = write_audio(tmp_path / "music" / "a # b.flac", sine(1))
    (path,) = write_playlists([song(file)], tmp_path / "lists", MOODS)
    with av.open(str(entries(path)[0])) as container:
        assert container.streams.audio


def test_a_linked_folder_of_playlists_leads_to_the_songs(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "lists").symlink_to(tmp_path / "deep" / "er")
    (file,) = touch(tmp_path / "music", ["a.mp3"])
    (path,) = write_playlists([song(file)], tmp_path / "lists", MOODS)
    assert entries(path)[0].samefile(file)


def test_the_next_run_replaces_its_playlists_and_nothing_else(tmp_path):
    write_playlists([song("a.mp3"), song("b.mp3", "wild")], tmp_path, MOODS)
    (tmp_path / "mine.m3u8").write_text("#EXTM3U\nx.mp3\n")
    assert write_playlists([song("a.mp3", "wild")], tmp_path, MOODS) == [tmp_path / "wild.m3u8"]
    assert {path.name for path in tmp_path.iterdir()} == {"wild.m3u8", "mine.m3u8"}
    (tmp_path / "calm.m3u8").write_text("#EXTM3U\nx.mp3\n")
    before = (tmp_path / "wild.m3u8").read_bytes()
    with pytest.raises(SettingError, match=r"calm\.m3u8 is there already and was not written"):
        write_playlists([song("a.mp3"), song("b.mp3", "wild")], tmp_path, MOODS)
    assert (tmp_path / "calm.m3u8").read_text() == "#EXTM3U\nx.mp3\n"
    assert (tmp_path / "wild.m3u8").read_bytes() == before


def test_moods_with_strange_names_stay_in_the_folder(tmp_path):
    moods = ["../so/so", "R&B/soul", "C:", "..", "Calm", "calm", "切ない", "x" * 300, "x" * 299]
    songs = [song(f"{number}.mp3", mood) for number, mood in enumerate(moods)]
    paths = write_playlists(songs, tmp_path / "lists", moods)
    assert sorted(tmp_path.rglob("*.m3u8")) == sorted(paths) and len(paths) == len(moods)
    assert {path.parent for path in paths} == {tmp_path / "lists"}
    names = [path.stem for path in paths]
    assert names[:7] == ["so so", "R&B soul", "C", "song", "Calm", "calm (2)", "切ない"]
    assert all(f"{number}.mp3" in path.read_text() for number, path in enumerate(paths))


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MelodaiError, match="could not write"):
        write_playlists([song("a.mp3")], tmp_path / "file" / "lists", MOODS)
