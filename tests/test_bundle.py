"""What answers for a song is read from run folders and exported folders, and never from damage."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from melodai.bundle import CHECKSUM, description_checksum, load_bundle
from melodai.errors import CheckpointError
from melodai.export.model import export_model
from melodai.labels import THREE
from melodai.references import FILE_NAME, References
from tests.runs import MOODS, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def exported(run, tmp_path):
    export_model(load_bundle(run), tmp_path / "model", with_onnx=False)
    return tmp_path / "model"


@pytest.mark.parametrize("arch", ["residual", "advanced"])
def test_an_exported_model_answers_bit_for_bit_as_its_run(arch, tmp_path):
    run, exported = make_run(tmp_path / "run", arch), tmp_path / "model"
    export_model(load_bundle(run), exported, with_onnx=False)
    one, other = load_bundle(run), load_bundle(exported)
    waveform = torch.randn(2, 22050)
    with torch.inference_mode():
        assert torch.equal(one.model(waveform), other.model(waveform))
    assert torch.equal(one.references.embeddings, other.references.embeddings)
    for name in (
        "segment_seconds", "pooling", "temperature", "segment_temperature", "is_calibrated", "about"
    ):  # fmt: skip
        assert getattr(one, name) == getattr(other, name), name
    assert one.model.moods == other.model.moods == MOODS
    assert (one.temperature, one.pooling) == (1.2592774963265299, "max")
    assert one.about["commit"] == "abc123" and one.about["data"] == "emotify"


def test_a_checkpoint_alone_is_a_model_that_is_not_calibrated(run, tmp_path):
    alone = tmp_path / "alone.pt"
    alone.write_bytes((run / "best.pt").read_bytes())
    bundle = load_bundle(alone)
    assert not bundle.is_calibrated and bundle.temperature == 1 and bundle.references is None


def test_an_exported_model_can_be_exported_again(exported, tmp_path):
    export_model(load_bundle(exported), tmp_path / "again", with_onnx=False)
    for name in ("model.safetensors", "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes()
    assert load_bundle(tmp_path / "again").about == load_bundle(exported).about


def test_without_a_name_the_model_that_comes_along_is_taken(exported, tmp_path, monkeypatch):
    monkeypatch.setattr("melodai.bundle.DEFAULT_MODELS", {THREE: exported})
    assert load_bundle().model.moods == MOODS and load_bundle().source == "default"
    monkeypatch.setattr("melodai.bundle.DEFAULT_MODELS", {THREE: tmp_path / "none"})
    with pytest.raises(CheckpointError, match="name one with --model"):
        load_bundle()


def test_nothing_there_is_said_with_the_remedy(tmp_path):
    with pytest.raises(CheckpointError, match="there is no"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", FILE_NAME])
def test_one_changed_byte_is_refused(exported, name):
    content = bytearray((exported / name).read_bytes())
    content[-3] ^= 1
    (exported / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged or another file"):
        load_bundle(exported)


@pytest.mark.parametrize("name", ["model.safetensors", FILE_NAME])
def test_a_missing_file_is_named(exported, name):
    (exported / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_bundle(exported)


def test_a_changed_description_is_refused(exported):
    path = exported / "model.json"
    path.write_text(path.read_text().replace('"temperature": 1.259', '"temperature": 9.259', 1))
    with pytest.raises(CheckpointError, match="was changed"):
        load_bundle(exported)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(CheckpointError, match="damaged"):
        load_bundle(exported)


def test_a_description_of_another_format_is_refused(exported):
    path = exported / "model.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(CheckpointError, match="reads format 1"):
        load_bundle(exported)


def test_a_pickle_in_the_weights_place_is_not_run(exported, tmp_path):
    """Also if whoever planted it has made all checksums fit."""
    mark = tmp_path / "ran"
    code = type("Evil", (), {"__reduce__": lambda self: (Path.mkdir, (mark,))})
    globals()["Planted"] = code
    code.__module__, code.__qualname__ = __name__, "Planted"
    evil = pickle.dumps(code())
    (exported / "model.safetensors").write_bytes(evil)
    said = json.loads((exported / "model.json").read_text())
    said["files"]["model.safetensors"] = hashlib.sha256(evil).hexdigest()
    said[CHECKSUM] = description_checksum(said)
    (exported / "model.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_bundle(exported)
    assert not mark.exists()


def test_weights_of_another_network_are_refused(exported, tmp_path):
    other = make_run(tmp_path / "other", arch="advanced")
    export_model(load_bundle(other), tmp_path / "foreign", with_onnx=False)
    foreign = (tmp_path / "foreign" / "model.safetensors").read_bytes()
    (exported / "model.safetensors").write_bytes(foreign)
    said = json.loads((exported / "model.json").read_text())
    other_said = json.loads((tmp_path / "foreign" / "model.json").read_text())
    said["files"]["model.safetensors"] = other_said["files"]["model.safetensors"]
    said[CHECKSUM] = description_checksum(said)
    (exported / "model.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match="do not fit residual"):
        load_bundle(exported)


def test_no_place_of_the_training_machine_is_exported(exported):
    assert "/home/me" not in (exported / "model.json").read_text()


def test_rounding_in_the_file_makes_no_song_unfamiliar(tmp_path):
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(60, 12, generator=random)
    embeddings[:, 4] = 300 + 1e-3 * embeddings[:, 4]  # below what float16 tells apart
    embeddings[:, 5] = 0.0213
    names = [f"song {i}" for i in range(60)]
    found = References.of(embeddings, names, [f"artist {i // 3}" for i in range(60)], ["calm"] * 60)
    found.save(tmp_path / "references.safetensors")
    read = References.load(tmp_path / "references.safetensors")
    assert read.nearest(embeddings[7], 1)[0].name == "song 7"
    assert read.nearest(embeddings[7], 1)[0].distance < 0.01
    assert (read.unfamiliarity(embeddings) < 1).all()
    assert read.unfamiliarity(embeddings[:1] + 9) > 1
