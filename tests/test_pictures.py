"""The study's way from songs to pictures, to small pictures, to a trained and evaluated network."""

import csv
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import melodai
from melodai.config import AugmentConfig, DataConfig, FrontEndConfig
from melodai.data.splits import PARTS
from melodai.errors import DataError, SettingError
from melodai.evaluation.run import evaluate_run
from melodai.models import build_model
from melodai.pictures.generate import generate_pictures
from melodai.pictures.resize import resize_pictures
from melodai.presets import preset
from melodai.transforms.mel import LogMel
from melodai.transforms.pixels import Pixels
from tests.conftest import sine, write_audio
from tests.songs import KINDS, RATE, make_library, song, write_wav
from tests.test_picture_folders import make_pictures

SCRIPTS = Path(__file__).parent.parent / "scripts"
STUDY = preset("study").augment


def script(name, *arguments, monkeypatch):
    """The script as if it had been called; its exit code."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    return ended.value.code or 0


def rows_of(folder):
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    return make_library(folder / "songs", songs_per_mood=4, seconds=6.0), folder / "cache"


@pytest.fixture
def generate(library, tmp_path):
    def make(out="pictures", root=None, augment=STUDY, **options):
        data = DataConfig(
            data=root or library[0], cache_dir=library[1], segment_seconds=4.0, num_decoders=1
        )
        options = {"image_size": 48, "num_copies": 1, **options}
        return generate_pictures(data, tmp_path / out, augment=augment, **options)

    return make


def test_segments_and_copies_of_each_song_are_drawn_with_what_is_known(generate, tmp_path):
    done = generate()
    assert (len(done.pictures), done.num_songs) == (12 * 2 * 2, 12)
    rows = rows_of(tmp_path / "pictures")
    assert [row["picture"] for row in rows] == list(done.pictures)
    assert rows[3] == {
        "picture": "emotional/0__seg1__aug1.png", "mood": "emotional", "song": "emotional/0.wav",
        "artist": "", "segment": "1", "copy": "1", "start_seconds": "2.0", "seconds": "4.0",
    }  # fmt: skip
    with Image.open(tmp_path / "pictures" / rows[3]["picture"]) as image:
        assert (image.mode, image.size) == ("L", (48, 48))
        assert image.text["melodai song"] == "emotional/0.wav"
        assert image.text["melodai start_seconds"] == "2.0"
        assert image.text["melodai sample_rate"] == "22050"


def test_low_frequencies_are_at_the_bottom_and_a_network_sees_them_as_in_a_log_mel(
    generate, tmp_path
):
    for index, mood in enumerate(KINDS):
        write_wav(tmp_path / "tones" / mood / "a.wav", sine(4.0, 300.0 * (index + 1)))
    generate(root=tmp_path / "tones", num_copies=0)
    picture = np.asarray(Image.open(tmp_path / "pictures" / "energetic" / "a__seg0.png"))
    assert picture.mean(axis=1).argmax() > 36  # of 48 rows, from the top
    waveform = torch.from_numpy(sine(4.0, 300.0))[None]
    seen = torch.from_numpy(picture[::-1].copy()).float() / 127.5 - 1
    assert torch.allclose(seen, LogMel(image_size=48)(waveform)[0, 0], atol=0.02)


def test_the_same_seed_draws_the_same_and_a_song_does_not_depend_on_the_others(generate, tmp_path):
    generate("one"), generate("two"), generate("other", seed=1), generate("more", num_copies=2)
    one, other, more = (files_of(tmp_path / name) for name in ("one", "other", "more"))
    assert one == files_of(tmp_path / "two")
    differing = {path.name for path in one if one[path] != other[path]}
    assert differing and all("aug" in name for name in differing)
    del more[Path("manifest.csv")], one[Path("manifest.csv")]
    assert all(more[path] == content for path, content in one.items())
    few = make_library(tmp_path / "few", songs_per_mood=1, seconds=6.0)
    generate("few-pictures", root=few)
    for path, content in files_of(tmp_path / "few-pictures").items():
        assert path.suffix == ".csv" or content == one[path]


def test_nothing_that_is_there_is_deleted_and_names_do_not_clash(generate, tmp_path):
    root = tmp_path / "songs"
    for folder, seed in (("a", 1), ("b", 2), ("", 3)):
        write_wav(root / "peaceful" / folder / "x.wav", song("peaceful", seed, 4.0))
    write_audio(root / "peaceful" / "é=,\n.flac", song("peaceful", 4, 4.0), RATE, artist="=Ann")
    write_wav(root / "peaceful" / "short.wav", song("peaceful", 5, 3.2))
    kept = tmp_path / "pictures" / "peaceful" / "mine.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"mine")
    done = generate(root=root, num_copies=0)
    assert kept.read_bytes() == b"mine"
    assert len(set(done.pictures)) == 5 == done.num_songs
    assert all((tmp_path / "pictures" / name).is_file() for name in done.pictures)
    (row,) = [row for row in rows_of(tmp_path / "pictures") if row["artist"]]
    assert (row["song"], row["artist"]) == ("peaceful/é=,\n.flac", "=Ann")


def test_what_cannot_be_drawn_is_told(generate, tmp_path):
    with pytest.raises(SettingError, match="pitch and tempo are changes of the sound"):
        generate(augment=AugmentConfig())
    with pytest.raises(DataError, match="holds pictures already"):
        generate(root=make_pictures(tmp_path / "there"))
    (tmp_path / "bad" / "peaceful").mkdir(parents=True)
    (tmp_path / "bad" / "peaceful" / "a.mp3").touch()
    with pytest.raises(DataError, match="none of the files can be used"):
        generate(root=tmp_path / "bad")


def test_pictures_are_made_small_with_their_text_and_the_unreadable_named(generate, tmp_path):
    generate(num_copies=0)
    source, out = tmp_path / "pictures", tmp_path / "small"
    Image.new("RGB", (300, 100), "white").save(source / "peaceful" / "wide.jpg")
    (source / "peaceful" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    before = files_of(source)
    done = resize_pictures(source, out, size=24)
    assert files_of(source) == before
    assert [failure.path.name for failure in done.failures] == ["bad.png"]
    assert set(files_of(out)) == set(before) - {Path("peaceful/bad.png")}
    assert rows_of(out) == rows_of(source)
    for path in out.rglob("*.*g"):
        with Image.open(path) as image:
            assert image.size == (24, 24)
    with Image.open(out / "peaceful" / "0__seg1.png") as image:
        assert image.text["melodai song"] == "peaceful/0.wav"


def test_stripes_finer_than_a_pixel_become_grey(tmp_path):
    stripes = np.zeros((96, 96), np.uint8)
    stripes[:, ::2] = 255
    (tmp_path / "in").mkdir()
    Image.fromarray(stripes).save(tmp_path / "in" / "a.png")
    resize_pictures(tmp_path / "in", tmp_path / "out", size=24)
    inner = np.asarray(Image.open(tmp_path / "out" / "a.png"))[2:-2, 2:-2]
    assert inner.min() > 110 and inner.max() < 145


def test_folders_that_would_be_overwritten_or_hold_nothing_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        resize_pictures(tmp_path / "in", tmp_path / "out")
    for out in ("in", "in/small", "."):
        with pytest.raises(SettingError, match="within each other"):
            resize_pictures(tmp_path / "in", tmp_path / out)


def test_the_networks_look_at_pictures_as_they_are_stored():
    model = build_model("pictures:advanced", 3, frontend=FrontEndConfig(image_size=64)).eval()
    assert model.sample_rate == 64
    picture = torch.rand(2, 1, 64, 64)
    assert torch.equal(model.frontend(picture.flatten(1)), picture)
    assert torch.equal(model(picture.flatten(1)), model.encoder(picture))
    with pytest.raises(SettingError, match="pictures of 64 x 64 pixels and cannot listen"):
        Pixels(64)(torch.zeros(1, 22050))
    for wrong in ("pictures:pictures:residual", "pictures:timm:resnet18"):
        with pytest.raises(SettingError, match="cannot be trained on a folder of pictures"):
            build_model(wrong, 3)


def test_the_steps_of_the_study_end_with_an_evaluated_network(library, tmp_path, monkeypatch):
    songs, cache = library
    monkeypatch.setenv("MELODAI_CACHE", str(cache))
    large, small, run = tmp_path / "mel", tmp_path / "small", tmp_path / "run"
    options = ("--segment-seconds", 4, "--size", 48, "--copies", 1)
    assert not script("generate_smart_segments.py", songs, large, *options, monkeypatch=monkeypatch)
    (large / "peaceful" / "bad.png").touch()
    code = script("resizing.py", large, small, "--size", 32, monkeypatch=monkeypatch)
    assert code == 1, "one picture cannot be read"
    assert not script(
        "train_segmented_model.py", "--data", small, "--arch", "residual", "--epochs", 2,
        "--image-size", 32, "--out", run, "--num-folds", 4, monkeypatch=monkeypatch,
    )  # fmt: skip
    settings = json.loads((run / "config.json").read_text())
    assert settings["model"]["arch"] == "pictures:residual"
    assert settings["augment"]["rotation_degrees"] == 5.0, "the study's preset"
    with (run / "split.csv").open(newline="") as file:
        parts = {row["name"]: row["part"] for row in csv.DictReader(file)}
    sides = {}
    for row in rows_of(small):
        sides.setdefault(row["song"], set()).add(parts[row["picture"]])
    assert set.union(*sides.values()) == set(PARTS)
    assert all(len(found) == 1 for found in sides.values()), "a song stands on one side"
    evaluation, predictions = evaluate_run(run)
    tested = {row["song"] for row in rows_of(small) if parts[row["picture"]] == "test"}
    assert set(predictions.names) == tested, "songs are counted, not pictures"
    assert evaluation.num_segments == list(parts.values()).count("test")
    assert set(predictions.artists) == {""}, "nobody is known"


def test_changes_of_the_sound_are_switched_off_with_a_word_and_a_run_goes_on(tmp_path, caplog):
    root = make_pictures(tmp_path / "p")
    options = {"data": root, "image_size": 32, "cache_dir": tmp_path, "num_folds": 3}
    result = melodai.train(out=tmp_path / "run", epochs=1, **options)
    assert "changes of the sound (pitch, tempo, gain, noise, low-pass" in caplog.text
    assert result.arch == "pictures:residual"
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["augment"]
    assert (settings["tempo"], settings["gain_db"], settings["time_masks"]) == (0, 0, 2)
    caplog.clear()
    assert melodai.resume(tmp_path / "run", epochs=2).epochs == 2
    assert "switched off" not in caplog.text
    with pytest.raises(SettingError, match="timm:resnet18 cannot be trained on a folder"):
        melodai.train(out=tmp_path / "other", arch="timm:resnet18", **options)


def test_the_study_preset_has_nothing_to_switch_off(tmp_path):
    from melodai.training.picture_data import for_data

    config = preset("study").with_options(data=make_pictures(tmp_path))
    found, words = for_data(config)
    assert words == "" and found.augment == config.augment
    assert found.data == replace(config.data, segment_seconds="full")
