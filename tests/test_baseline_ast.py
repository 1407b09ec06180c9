"""The Audio Spectrogram Transformer: its features, and loading its published format."""

import numpy as np
import pytest
import torch

from baselines.ast import FILES, AudioSpectrogramTransformer, ast_from, build_ast
from baselines.hub import read_json
from baselines.weights import WeightsError, read_state
from melodai.errors import MelodaiError
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone

transformers = pytest.importorskip("transformers")

SMALL = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    num_labels=5, id2label={i: f"sound {i}" for i in range(5)},
)  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small random model, written as the hub has it."""
    folder = tmp_path_factory.mktemp("ast")
    torch.manual_seed(0)
    network = transformers.ASTForAudioClassification(transformers.ASTConfig(**SMALL)).eval()
    network.save_pretrained(folder)
    return folder, network


@pytest.fixture(scope="module")
def backbone(saved):
    folder, _ = saved
    state = read_state(folder / "model.safetensors", FILES[1])
    return ast_from(read_json(folder / "config.json"), state)


@pytest.mark.parametrize("seconds", [10.0, 3.3])
def test_the_features_are_those_of_its_feature_extractor(backbone, seconds):
    sound = 0.3 * noise(seconds, 0, 16000)
    extractor = transformers.ASTFeatureExtractor()
    expected = extractor(sound, sampling_rate=16000, return_tensors="np")["input_values"]
    assert_near(backbone.front_end(torch.from_numpy(sound)[None])[0], expected, 1e-4)


def test_loading_the_published_format_gives_its_outputs(saved, backbone):
    _, network = saved
    sound = 0.3 * noise(10.0, 1, 16000)
    features = transformers.ASTFeatureExtractor()(sound, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = network(**features).logits.sigmoid()
        hidden = network.audio_spectrogram_transformer(**features)
        waveform = torch.from_numpy(sound)[None]
        assert_near(backbone.tags(waveform, 16000)[0], expected, 1e-5)
        assert_near(backbone.embed(waveform, 16000)[0], hidden.pooler_output, 1e-4)
    assert backbone.tag_names == tuple(f"sound {i}" for i in range(5))


def test_it_keeps_the_contract(backbone):
    check_backbone(backbone, seconds=2.0)
    assert backbone.embedding_size == 24
    assert AudioSpectrogramTransformer(backbone.network, ["patches"]).layers == ("patches",)


def test_a_long_song_is_cut_into_windows(backbone):
    sound = torch.from_numpy(np.tile(noise(5.0, 0, 16000), 5))[None]
    assert backbone.front_end(sound).shape == (1, 3, 1024, 128)


def test_weights_that_lack_something_are_refused(saved):
    folder, _ = saved
    state = read_state(folder / "model.safetensors", FILES[1])
    del state["classifier.dense.weight"]
    with pytest.raises(WeightsError, match=r"classifier\.dense\.weight"):
        ast_from(read_json(folder / "config.json"), state)


def test_without_the_hub_one_sentence_says_what_to_download(tmp_path, monkeypatch):
    monkeypatch.setenv("MELODAI_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MelodaiError, match=r"config\.json and put it at"):
        build_ast(tmp_path, offline=True)
