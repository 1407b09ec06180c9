"""Pretraining on made-up music, with a small random network as the teacher."""

import json
import signal

import numpy as np
import pytest
import torch
from torch import nn

from baselines.base import Backbone, windows
from baselines.mood_model import mood_model
from melodai.checkpoint import load_checkpoint
from melodai.config import DataConfig, PretrainConfig
from melodai.errors import DataError, SettingError
from melodai.interrupt import Interrupted
from melodai.models.registry import PRETRAINED_SOUND, find_architecture, register_model
from melodai.training.monitor import Monitor
from melodai.training.pretrain_run import pretrain
from melodai.training.teacher import LabelledSongs, fit_targets
from melodai_studies.free_music import Piece, write_manifest
from melodai_studies.pretraining import publish_pretraining
from tests.conftest import noise, sine, write_audio

TEACHER = "made-up-teacher"


class MadeUp(Backbone):
    """Loudness of 32 bands of half a second, through a fixed random layer."""

    name, sample_rate, licence, source = TEACHER, 8000, "MIT", "made up"
    layer_sizes = {"bands": 32, "dense": 16}  # noqa: RUF012
    default_layers = ("bands", "dense")
    tag_names = ("low", "high")

    def __init__(self, layers=None):
        super().__init__(layers)
        self.dense = nn.Linear(32, 16)
        with torch.no_grad():
            self.dense.weight.copy_(torch.randn(16, 32, generator=torch.manual_seed(1)))

    def front_end(self, waveform):
        spectrum = torch.fft.rfft(windows(waveform, 4000)).abs().square()[..., :1984]
        return (spectrum.unflatten(-1, (32, 62)).mean(-1) + 1e-6).log()

    def activations(self, patches):
        dense = self.dense(patches).relu()
        logits = torch.stack([patches[:, :16].mean(1), patches[:, 16:].mean(1)], 1)
        return {"bands": patches, "dense": dense, "logits": logits, "tags": logits.sigmoid()}


def enter_teacher():
    try:
        find_architecture(TEACHER)
    except SettingError:

        @register_model(TEACHER, summary="made up", kind=PRETRAINED_SOUND)
        def build(*, moods, frontend, dropout, layers, **rest):
            return mood_model(MadeUp(layers.split("+") if layers else None), moods, dropout)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Unlabelled tones and noises of 12 seconds, and a labelled set with two folds."""
    enter_teacher()
    root = tmp_path_factory.mktemp("music")
    for i in range(6):
        write_audio(root / "free" / f"{i}.flac", noise(12, i) + sine(12, 200 + 300 * i))
    rows = ["file,mood,artist,fold"]
    for i in range(12):
        mood = "energetic" if i % 2 else "peaceful"
        sound = noise(12, 50 + i) if i % 2 else sine(12, 150 + 40 * i)
        write_audio(root / "known" / f"{i}.flac", sound)
        rows.append(f"{i}.flac,{mood},artist {i},{i // 2 % 3}")
    rows.append("0e.flac,emotional,artist e,0\n1e.flac,emotional,artist f,1")
    for i in (0, 1):
        write_audio(root / "known" / f"{i}e.flac", noise(12, 90 + i, level=0.05) + sine(12, 3000))
    (root / "known" / "songs.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def run(music, tmp_path):
    def start(out="run", monitor=None, **changes):
        settings = dict(
            teacher=TEACHER, fold=2, num_folds=3, steps=6, batch_size=4, evaluate_every=3,
            probe_every=6, warmup_steps=2, kept_share=0.3, device="cpu", num_decoders=1,
            cache_dir=music / "cache", out=tmp_path / out,
        )  # fmt: skip
        config = PretrainConfig(**{**settings, **changes})
        labelled = [DataConfig(data=music / "known" / "songs.csv", cache_dir=music / "cache")]
        return pretrain([music / "free"], labelled, config, monitor)

    return start


class StopsAfter(Monitor):
    def __init__(self, steps):
        self.steps = steps

    def working(self, what, done, total, state=""):
        if what == "pretraining" and done == self.steps:
            signal.raise_signal(signal.SIGTERM)


def test_a_run_that_was_stopped_ends_in_the_weights_of_one_that_was_not(run, tmp_path):
    whole = run("whole")
    for steps in (1, 5):  # within a stretch between two evaluations, twice
        with pytest.raises(Interrupted):
            run("stopped", StopsAfter(steps))
    assert run("stopped").read_bytes() == whole.read_bytes()
    first, second = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "stopped"))
    assert all(torch.equal(first["encoder"][k], second["encoder"][k]) for k in first["encoder"])


def test_the_student_comes_to_say_what_the_teacher_says(run, tmp_path):
    run("long", steps=30, evaluate_every=30, probe_every=30, warmup_steps=10)
    row = load_checkpoint(tmp_path / "long" / "last.pt")["progress"]["history"][-1]
    assert row["unexplained/moods_train"] < 0.8
    assert {"unexplained_kept/layers_unlabelled", "probe/accuracy_songs"} <= row.keys()


def test_what_was_heard_and_how_it_went_is_published_with_the_weights(run, music, tmp_path):
    run("done", steps=6)
    heard = json.loads((tmp_path / "done" / "music.json").read_text())
    pieces = [
        Piece("tunes", "1.0", f"tunes/{key}.ogg", 90.0, "CC0", key) for key in heard["unlabelled"]
    ]
    write_manifest(tmp_path / "manifest.csv", [*pieces, Piece("other", "1", "o", 9.0, "?", "ff")])
    publish_pretraining(
        tmp_path / "done", tmp_path / "package", tmp_path / "results", tmp_path / "manifest.csv"
    )
    card = (tmp_path / "package" / "README.md").read_text()
    assert f"| tunes | 1.0 | {len(pieces)} |" in card and "other" not in card
    assert heard["labelled"] == {"songs": 10} and "10 songs of songs" in card
    assert "nan" not in card and (tmp_path / "package" / "residual.safetensors").is_file()
    assert str(tmp_path) not in (tmp_path / "results" / "config.json").read_text()


def test_other_settings_are_not_laid_over_a_run(run):
    run("once", steps=1)
    with pytest.raises(SettingError, match="other settings"):
        run("once", steps=2)


def test_a_folder_without_music_is_named(tmp_path):
    enter_teacher()
    with pytest.raises(DataError, match="nowhere"):
        pretrain([tmp_path / "nowhere"], [], PretrainConfig(teacher=TEACHER, device="cpu"))


def test_targets_have_unit_variance_and_no_label_of_a_fold_reaches_its_own_songs():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(300, 20, generator=generator) * torch.linspace(0, 3, 20)
    moods = np.arange(60) % 3
    folds = np.arange(60) // 12

    def fit(labels):
        songs = LabelledSongs("songs", labels, folds, np.arange(60))
        return fit_targets(
            [embeddings], np.arange(300) // 5, [songs], num_components=10, num_folds=5, left_out=4
        )

    targets = fit(moods)
    probe = torch.full((300,), 5)
    layers, said = targets([embeddings], probe)
    assert layers.var(0).sum().item() == pytest.approx(1, rel=0.05)
    assert said.var(0).sum().item() == pytest.approx(1, rel=0.05)
    assert targets.sizes == [(19, 10)]  # the dead dimension is left out

    changed = np.where(folds == 1, (moods + 1) % 3, moods)
    assert torch.equal(fit(changed).probe_weight[1], targets.probe_weight[1])
    assert not torch.equal(fit(changed).probe_weight[0], targets.probe_weight[0])
    left_out = np.where(folds == 4, (moods + 1) % 3, moods)
    assert torch.equal(fit(left_out).probe_weight, targets.probe_weight)
