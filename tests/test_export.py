"""An exported folder appears whole, says what it is, and its graph answers as PyTorch does."""

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from melodai.bundle import load_bundle
from melodai.data.segments import samples_of
from melodai.errors import CheckpointError, SettingError
from melodai.export.card import model_card
from melodai.export.folder import write_folder
from melodai.export.model import export_model
from melodai.predict.predictor import Predictor
from tests.runs import MOODS, make_run
from tests.songs import melodai as command
from tests.songs import song


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    export_model(load_bundle(make_run(folder / "run")), folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def session(exported):
    return onnxruntime.InferenceSession(exported / "model.onnx")


def answers(bundle, waveform):
    with torch.inference_mode():
        logits = bundle.model(torch.from_numpy(waveform))
    return (logits / bundle.segment_temperature).softmax(1).numpy()


def music(batch: int, seconds: float) -> np.ndarray:
    songs = [song(MOODS[i % 3], i, seconds) for i in range(batch)]
    return np.stack(songs).astype(np.float32)


@pytest.mark.parametrize(("batch", "seconds"), [(1, 3.0), (3, 3.0), (2, 7.0137), (1, 0.5)])
def test_onnx_answers_as_pytorch_for_any_batch_and_length(exported, session, batch, seconds):
    bundle, waveform = load_bundle(exported), music(batch, seconds)
    probabilities, embedding = session.run(None, {"waveform": waveform})
    assert np.abs(probabilities - answers(bundle, waveform)).max() < 1e-5
    with torch.inference_mode():
        expected = bundle.model.embed(torch.from_numpy(waveform)).numpy()
    assert np.abs(embedding - expected).max() < 1e-4
    assert np.ptp(probabilities) > 0.05, "an answer that does not depend on the input shows nothing"


def test_the_graph_alone_answers_for_songs_as_its_folder_does(exported):
    folder, graph = load_bundle(exported), load_bundle(exported / "model.onnx")
    for name in ("segment_seconds", "pooling", "temperature", "segment_temperature", "about"):
        assert getattr(folder, name) == getattr(graph, name), name
    songs = [song(mood, 5, 7.0) for mood in MOODS]
    for one, other in zip(
        *([Predictor(b, device="cpu").predict(s) for s in songs] for b in (folder, graph)),
        strict=True,
    ):
        assert one.mood == other.mood
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert len(one.windows) == len(other.windows) == 3
    short = torch.randn(2, 30000)
    with torch.inference_mode():
        together = graph.model(short, torch.tensor([30000, 20000]))
        alone = graph.model(short[1:, :20000])
    assert torch.allclose(together[1:], alone, atol=1e-5)
    with pytest.raises(SettingError, match="exported model already"):
        export_model(graph, exported.parent / "again")


def test_what_is_no_exported_graph_is_refused(exported, tmp_path):
    with pytest.raises(CheckpointError, match="not an ONNX graph"):
        load_bundle(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_bytes(b"not a graph")
    with pytest.raises(CheckpointError, match="not an ONNX graph"):
        load_bundle(tmp_path / "text.onnx")
    content = (exported / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not an ONNX graph"):
        load_bundle(tmp_path / "cut.onnx")
    graph = onnx.load(exported / "model.onnx")
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "bare.onnx")
    with pytest.raises(CheckpointError, match="not written by melodai-export"):
        load_bundle(tmp_path / "bare.onnx")


def test_level_and_silence_are_handled_inside(session):
    waveform = music(1, 3.0)
    (loud,) = session.run(["probabilities"], {"waveform": waveform})
    (soft,) = session.run(["probabilities"], {"waveform": waveform / 64})
    assert np.abs(loud - soft).max() < 1e-5
    (silence,) = session.run(["probabilities"], {"waveform": np.zeros((2, 66150), np.float32)})
    assert np.isfinite(silence).all() and np.allclose(silence.sum(1), 1)


def test_the_graph_says_what_it_needs(exported):
    graph = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(graph, full_check=True)
    said = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(said["moods"]) == [*MOODS]
    assert (said["sample_rate"], said["segment_seconds"]) == ("22050", "3.0")
    assert float(said["temperature"]) == load_bundle(exported).segment_temperature
    assert [i.name for i in graph.graph.input] == ["waveform"]
    assert [o.name for o in graph.graph.output] == ["probabilities", "embedding"]


def test_the_description_lists_every_file_with_its_checksum(exported):
    said = json.loads((exported / "model.json").read_text())
    assert said["files"].keys() == {
        "model.safetensors", "references.safetensors", "model.onnx", "README.md"
    }  # fmt: skip
    assert {path.name for path in exported.iterdir()} == {*said["files"], "model.json"}
    assert said["scores"]["tracks"]["accuracy"]["value"] == 0.5333


def test_the_card_has_the_scores_with_intervals_licence_and_ceiling(tmp_path):
    bundle = load_bundle(make_run(tmp_path / "run"))
    level = {"accuracy": 0.7046, "macro_f1": 0.6858}
    ceiling = {"data": "emotify", "num_tracks": 300, "halves": level, "shortcuts": {"genre": level}}
    card = model_card(bundle, ceiling, has_onnx=True)
    for part in (
        "0.533 [0.367, 0.702]", "0.542 [0.373, 0.697]", "| F1 peaceful | 0.611 |",
        "60 songs of emotify, by 21 artists", "research, non-commercial", "must not be used",
        "0.705 | 0.686", "shortcut: genre", "(temperature 1.26)", "abc123",
        "`model.onnx`", "22,050 Hz", "energetic, peaceful or emotional",
        "Trained on 6 songs of", "* Emotify: one-minute",
        "Licence of the network:** MIT",
    ):  # fmt: skip
        assert part in card, part
    assert "No terms known" in model_card(bundle, None, licence="No terms known")


def test_the_card_of_a_model_of_two_data_sets_has_the_scores_and_the_terms_of_each(tmp_path):
    bundle = load_bundle(make_run(tmp_path / "run"))
    one = {"num_tracks": 20, "num_artists": 7, "tracks": {"accuracy": {"value": 0.71}}}
    two = {"num_tracks": 40, "num_artists": 14, "tracks": {"accuracy": {"value": 0.78}}}
    config = bundle.config.with_options(pieces=10, segment_seconds=30.0)
    bundle = dataclasses.replace(
        bundle, about={**bundle.about, "data": "emotify+4q"}, segment_seconds=30.0, config=config,
        scores={**bundle.scores, "sets": {"emotify": one, "4q": two}},
    )  # fmt: skip
    card = model_card(bundle, None)
    for part in (
        "all songs (60, 21 artists) | emotify (20, 7 artists) | 4q (40, 14 artists)",
        "| accuracy | 0.533 [0.367, 0.702] | 0.710 | 0.780 |", "are not free",
        "emotify: research", "30 s of a song, in 10 pieces",
    ):  # fmt: skip
        assert part in card, part


def test_the_card_of_a_run_that_was_not_evaluated_says_so(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "evaluation.json").unlink()
    (run / "metrics.json").write_text('{"data": "my-music", "note": "8-bit weights"}')
    card = model_card(load_bundle(run), None)
    assert "**8-bit weights**" in card
    assert "before `melodai-evaluate`" in card and "not stated" in card
    assert "`model.onnx`" not in card


def test_the_card_of_a_model_of_all_songs_says_whose_scores_they_are(tmp_path):
    card = model_card(load_bundle(make_run(tmp_path / "run", all_songs=True)), None)
    assert "scores of the same recipe on 60 songs" in card


def test_a_model_of_whole_songs_says_so(tmp_path):
    bundle = load_bundle(make_run(tmp_path / "run", segment_seconds="full"))
    assert samples_of(bundle.segment_seconds, bundle.model.sample_rate) is None
    assert "whole songs" in model_card(bundle, None)


def test_the_folder_appears_whole_or_not_at_all(tmp_path):
    def fails(folder):
        (folder / "first").write_text("written")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left"):
        write_folder(tmp_path / "out", fails)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(SettingError, match="is there already"):
        write_folder(tmp_path / "out", lambda folder: None)
    assert (tmp_path / "out" / "mine").read_text() == "mine"


def test_the_command_writes_the_folder_and_says_so(tmp_path):
    make_run(tmp_path / "run")
    (tmp_path / "ceiling.json").write_text(
        '{"data": "d", "num_tracks": 3, "halves": {"accuracy": 0.7123, "macro_f1": 0.7}}'
    )
    done = command(
        "export", "run", "--out", "model", "--no-onnx", "--ceiling", "ceiling.json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in done.stdout and "melodai-predict" in done.stdout
    assert "0.712 | 0.700" in (tmp_path / "model" / "README.md").read_text()
