"""Folders of spectrogram pictures are read like folders of songs, song by song."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from melodai.config import DataConfig
from melodai.data.corpus import prepare
from melodai.data.grouping import group_of
from melodai.data.library import read_library
from melodai.data.picture_files import ARTIST, SONG, about_picture, read_pixels
from melodai.data.splits import make_split
from melodai.errors import DataError
from tests.songs import song, write_wav

MOODS = ("energetic", "peaceful", "emotional")


def write_picture(path, seed=0, size=32, mode="L", **text):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_itxt(f"melodai {key}", value)
    more = {"pnginfo": info} if path.suffix == ".png" else {}
    Image.fromarray(values).convert(mode).save(path, **more)
    return path


def make_pictures(root, names=("{n}_seg0.png", "{n}_seg0_aug1.png"), songs=3):
    for index, mood in enumerate(MOODS):
        for number in range(songs):
            for piece, name in enumerate(names):
                path = root / mood / name.format(n=number)
                write_picture(path, 100 * index + 10 * number + piece)
    return root


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("rain__seg0__aug2.png", "rain"), ("rain_seg1_aug2.png", "rain"),
        ("a_b-segment 3.jpg", "a_b"), ("rain_augmented_1.png", "rain"), ("rain.png", "rain"),
        ("seg1.png", "seg1"), ("my__song__seg12.png", "my__song"), ("track_7.png", "track_7"),
    ],
)  # fmt: skip
def test_the_song_is_in_the_name(name, found, tmp_path):
    assert about_picture(tmp_path / name, "calm") == (f"calm/{found}", None)


def test_the_song_is_in_the_text_and_above_all_in_the_manifest(tmp_path):
    make_pictures(tmp_path)
    write_picture(tmp_path / "peaceful" / "x.png", 7, song="b/Söng", artist="Ann")
    write_picture(tmp_path / "peaceful" / "y.png", 8, song="b/Söng", artist="Ann")
    with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("picture", "song", "artist"), ("peaceful/y.png", 'c, "d"', "Bob")]
        )
    library = read_library(DataConfig(data=tmp_path))
    assert library.holds_pictures
    tracks = {track.name: track for track in library.tracks}
    assert (tracks["peaceful/x.png"].title, tracks["peaceful/x.png"].artist) == ("b/Söng", "Ann")
    assert (tracks["peaceful/y.png"].title, tracks["peaceful/y.png"].artist) == ('c, "d"', "Bob")
    assert tracks["energetic/1_seg0.png"].artist == "song energetic/1"
    (warning,) = library.warnings
    assert "the artist of 9 of the 11 songs in the pictures is unknown" in warning
    assert (SONG, ARTIST) == ("melodai song", "melodai artist")


def test_pieces_and_copies_of_a_song_stay_together(tmp_path):
    corpus = prepare(DataConfig(data=make_pictures(tmp_path / "p"), cache_dir=tmp_path), 32)
    groups = group_of(corpus.tracks, corpus.keys)
    assert len(corpus.tracks) == 18 and len(set(groups)) == 9
    assert all(len({groups[i], groups[i + 1]}) == 1 for i in range(0, 18, 2))


def test_a_few_songs_of_many_pictures_leave_some_to_validate(tmp_path):
    root = make_pictures(tmp_path / "p", names=[f"{{n}}_seg{i}.png" for i in range(4)])
    corpus = prepare(DataConfig(data=root, cache_dir=tmp_path), 32)
    split = make_split(
        corpus.tracks, corpus.keys, fold=0, num_folds=3, validation_fraction=0.1, seed=0
    )
    assert {corpus.tracks[index].mood for index in split.validation} == set(MOODS)
    assert len(split.validation) == 12 == len(split.test)


def test_pictures_that_name_no_song_are_warned_of(tmp_path):
    library = read_library(DataConfig(data=make_pictures(tmp_path, names=("{n}.png",))))
    assert "every picture counts as a song of its own" in library.warnings[-1]


def test_covers_among_songs_are_no_pictures_to_learn_from(tmp_path):
    make_pictures(tmp_path)
    write_wav(tmp_path / "peaceful" / "a.wav", song("peaceful", 1))
    library = read_library(DataConfig(data=tmp_path))
    assert not library.holds_pictures and len(library.tracks) == 1


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", ".png"), ("RGB", ".png"), ("P", ".png"), ("RGBA", ".png"), ("1", ".png"),
     ("L", ".jpg"), ("RGB", ".jpeg")],
)  # fmt: skip
def test_pixels_are_grey_values_from_the_lowest_row_up(mode, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    ramp = np.repeat(np.linspace(255, 0, 64).astype(np.uint8)[:, None], 64, axis=1)
    Image.fromarray(ramp).convert(mode).save(path)
    pixels = read_pixels(path, 32).reshape(32, 32)
    assert pixels.dtype == np.int16 and pixels[0].mean() < -25000 and pixels[-1].mean() > 25000


def test_sixteen_bits_are_kept_in_range(tmp_path):
    Image.fromarray(np.full((40, 40), 65535, np.uint16)).save(tmp_path / "a.png")
    assert read_pixels(tmp_path / "a.png", 32).min() == 32767


def test_damaged_pictures_are_named_and_the_rest_is_used_and_kept(tmp_path):
    root = make_pictures(tmp_path / "p")
    whole = write_picture(root / "peaceful" / "cut.png", 99).read_bytes()
    (root / "peaceful" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "peaceful" / "empty.png").touch()
    (root / "peaceful" / "text.jpg").write_text("no picture")
    config = DataConfig(data=root, cache_dir=tmp_path / "cache")
    corpus = prepare(config, 32)
    assert {failure.path.name for failure in corpus.failures} == {
        "cut.png", "empty.png", "text.jpg",
    }  # fmt: skip
    assert len(corpus.tracks) == 18 and corpus.holds_pictures
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")}
    again = prepare(config, 32)
    assert len(stored) == 18 and again.keys == corpus.keys
    assert stored == {path: path.stat().st_mtime_ns for path in stored}
    with pytest.raises(DataError, match="3 of 21 files cannot be used"):
        prepare(replace(config, strict=True), 32)


def test_songs_and_pictures_are_not_taken_for_each_other(tmp_path):
    pictures = make_pictures(tmp_path / "pictures")
    with pytest.raises(DataError, match="holds pictures; songs are needed"):
        prepare(DataConfig(data=pictures, cache_dir=tmp_path), 22050)
    write_wav(tmp_path / "songs" / "peaceful" / "a.wav", song("peaceful", 1))
    with pytest.raises(DataError, match="holds songs, and this network was trained on pictures"):
        prepare(DataConfig(data=tmp_path / "songs", cache_dir=tmp_path), 224)


def test_a_manifest_that_is_something_else_is_named(tmp_path):
    make_pictures(tmp_path)
    Path(tmp_path, "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"manifest\.csv cannot be read"):
        read_library(DataConfig(data=tmp_path))
