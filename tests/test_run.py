"""A run folder is known by its songs and settings, wherever it is, and has one writer at a time."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import melodai
from melodai import cross_validation
from melodai.config import Config
from melodai.cross_validation import cross_validate
from melodai.data.corpus import Corpus
from melodai.data.splits import make_split
from melodai.data.store import CachedTrack
from melodai.data.tracks import Track
from melodai.errors import CheckpointError, DataError, SettingError
from melodai.evaluation.run import evaluate_run
from melodai.run import IDENTITY, SPLIT, Run, claim, fingerprint, part_sides
from melodai.training.monitor import Monitor
from tests.songs import make_library

MOODS = ("energetic", "peaceful", "emotional")


def make_corpus(num_songs=12):
    tracks = [
        Track(path=Path(f"/songs/{n}.mp3"), mood=MOODS[n % 3], name=f"{n}.mp3")
        for n in range(num_songs)
    ]
    entries = [
        CachedTrack(key=f"key{n}", path=Path("."), num_samples=1, checksum=0)
        for n in range(num_songs)
    ]
    return Corpus(
        name="songs", root=Path("/songs"), moods=MOODS, tracks=tuple(tracks),
        entries=tuple(entries), sample_rate=22050,
    )  # fmt: skip


def split_of(corpus):
    return make_split(corpus.tracks, corpus.keys, fold=0, num_folds=3, validation_fraction=0.2)


@pytest.fixture
def run(tmp_path):
    corpus = make_corpus()
    split = split_of(corpus)
    run = Run(
        folder=tmp_path, config=Config(), songs=fingerprint(corpus, part_sides(corpus, split))
    )
    run.write(corpus, split)
    return Run.open(tmp_path)


def test_songs_are_known_by_their_content_under_other_names_and_in_another_order(run):
    corpus = make_corpus()
    moved = [replace(t, name=f"new/{t.name}", path=Path("/new") / t.name) for t in corpus.tracks]
    moved = replace(corpus, tracks=tuple(moved[::-1]), entries=corpus.entries[::-1])
    assert run.has(moved)
    own, split = run.own(moved)
    assert [track.name for track in own.tracks] == [track.name for track in corpus.tracks]
    assert own.keys == corpus.keys and own.tracks[0].path == Path("/new/0.mp3")
    assert fingerprint(own, part_sides(own, split)) == run.songs
    assert replace(split, source="") == replace(split_of(corpus), source="")


def test_other_songs_labels_and_parts_are_refused(run):
    corpus = make_corpus()
    with pytest.raises(DataError, match=r"not those of the run any more: 11\.mp3"):
        run.own(make_corpus(11))
    assert not run.has(make_corpus(13))
    anew = (replace(corpus.tracks[0], mood="peaceful"), *corpus.tracks[1:])
    with pytest.raises(DataError, match=r"labels.*0\.mp3 \(energetic, now peaceful\)"):
        run.own(replace(corpus, tracks=anew))
    text = (run.folder / SPLIT).read_text()
    (run.folder / SPLIT).write_text(text.replace("test", "train"))
    own, split = run.own(corpus)
    with pytest.raises(SettingError, match="other songs, labels or folds"):
        run.check(fingerprint(own, part_sides(own, split)))


def test_a_folder_that_does_not_say_its_songs_is_taken_up_only_on_the_users_word(run):
    (run.folder / IDENTITY).unlink()
    with pytest.raises(SettingError, match="--adopt"):
        Run.start(run.folder, Config(), "songs")
    Run.start(run.folder, Config(), "songs", adopt=True)
    with pytest.raises(SettingError, match="other songs"):
        Run.start(run.folder, Config(), "others", adopt=True)
    with pytest.raises(SettingError, match="other settings"):
        Run.start(run.folder, Config().with_options(seed=1), "songs")
    Run.start(run.folder, Config().with_options(device="cpu", data=Path("/new")), "songs")
    with pytest.raises(CheckpointError):
        Run.open(run.folder / "nothing")


HOLD = """
import sys, pathlib, time
from melodai.run import claim
with claim(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_writer_and_a_kill_leaves_it_free(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(SettingError, match=rf"another process \({holder.pid}\)"):
            melodai.train(data=tmp_path, out=folder)
    finally:
        holder.kill()
        holder.wait()
    with claim(folder), pytest.raises(SettingError, match="another process"), claim(folder):
        pass
    assert not folder.exists(), "nothing came of it"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """A run on a relative path, of features that need no training."""
    folder = tmp_path_factory.mktemp("probe")
    make_library(folder / "songs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        melodai.train(
            data="songs", out="run", cache_dir="cache", arch="log-mel-statistics", head="linear",
            segment_seconds=3.0, num_folds=3, num_decoders=1, device="cpu",
        )  # fmt: skip
    return folder


def test_a_run_on_a_relative_path_is_evaluated_from_anywhere_and_where_its_songs_are_now(probe):
    run, moved = probe / "run", probe / "elsewhere"
    assert Run.open(run).data(cache_dir=None).data == (probe / "songs",)
    shutil.move(probe / "songs", moved)
    try:
        with pytest.raises(DataError, match="say with --data where they are now"):
            evaluate_run(run)
        evaluation, predictions = evaluate_run(run, data=moved)
    finally:
        shutil.move(moved, probe / "songs")
    assert (evaluation.split, evaluation.num_tracks) == ("test", 5)
    assert predictions.provenance["songs"] == json.loads((run / IDENTITY).read_text())["songs"]


class Warnings(Monitor):
    def __init__(self):
        self.texts = []

    def warning(self, text):
        self.texts.append(text)


def test_copies_are_listened_for_before_the_first_fold_and_other_songs_results_not_taken(
    probe, monkeypatch
):
    def stop(*arguments, **options):
        raise InterruptedError

    monkeypatch.setattr(cross_validation, "_train_fold", stop)
    library, monitor = make_library(probe / "copies", seconds=8.0), Warnings()
    for mood in MOODS:
        song = (library / mood / "0.wav").read_bytes()
        for number in range(3):  # cut at the end: another content, the same recording
            (library / mood / f"copy{number}.wav").write_bytes(song[: -4000 * (number + 1)])
    config = Run.open(probe / "run").config.with_options(out=probe / "cv", data=library)
    with pytest.raises(InterruptedError):
        cross_validate(config, monitor)
    assert any("the split leaks: the same recording in fold" in text for text in monitor.texts)
    with pytest.raises(SettingError, match="other songs, labels or folds"):
        cross_validate(config.with_options(data=probe / "songs"), monitor)
