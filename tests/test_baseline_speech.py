"""wav2vec 2.0, WavLM and MERT: loading their published formats into small networks."""

import pytest
import torch
import torchaudio

from baselines.hub import read_json
from baselines.speech import MERT, WAV2VEC2, WAVLM, from_torchaudio, mert_from
from baselines.weights import WeightFile, WeightsError, read_state
from melodai.files import file_digest
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone

CONVOLUTIONS = [(16, 10, 5), (16, 3, 2), (16, 3, 2), (16, 3, 2), (16, 3, 2), (16, 2, 2), (16, 2, 2)]
COMMON = dict(
    extractor_mode="group_norm", extractor_conv_layer_config=CONVOLUTIONS,
    extractor_conv_bias=False, encoder_embed_dim=24, encoder_projection_dropout=0.0,
    encoder_pos_conv_kernel=16, encoder_pos_conv_groups=4, encoder_num_layers=3,
    encoder_num_heads=4, encoder_attention_dropout=0.0, encoder_ff_interm_features=32,
    encoder_ff_interm_dropout=0.0, encoder_dropout=0.0, encoder_layer_norm_first=False,
    encoder_layer_drop=0.0,
)  # fmt: skip
LM = dict(encoder_num_buckets=32, encoder_max_distance=64)


def small(kind: str, letters: int | None = None) -> torch.nn.Module:
    if kind == "wavlm":
        return torchaudio.models.wavlm_model(**COMMON, **LM, aux_num_out=letters).eval()
    return torchaudio.models.wav2vec2_model(**COMMON, aux_num_out=letters).eval()


@pytest.mark.parametrize("kind, file", [("wav2vec2", WAV2VEC2), ("wavlm", WAVLM)])
def test_torchaudio_s_files_are_loaded_without_the_letters(kind, file, tmp_path):
    torch.manual_seed(0)
    original = small(kind, letters=32)
    path = tmp_path / file.name
    torch.save(original.state_dict(), path)
    written = WeightFile(name=file.name, licence="", source="", sha256=file_digest(path))
    backbone = from_torchaudio(kind, small(kind), read_state(path, written), file, ["layer2"])

    sound = torch.from_numpy(noise(5.0, 0, 16000))[None]
    with torch.no_grad():
        layers, _ = original.extract_features(sound)
        found = backbone.embed(sound, 16000)[0]
    assert_near(found, layers[1].mean(1), 1e-5)
    assert tuple(backbone.layer_sizes) == ("layer1", "layer2", "layer3", "mean")


@pytest.mark.parametrize("kind", ["wav2vec2", "wavlm"])
def test_they_keep_the_contract(kind, monkeypatch):
    monkeypatch.setattr("baselines.speech.WINDOW_SECONDS", 1)
    torch.manual_seed(0)
    network = small(kind)
    check_backbone(from_torchaudio(kind, network, network.state_dict(), WAVLM), seconds=2.0)


def mert(folder) -> tuple[torch.nn.Module, dict, dict]:
    """A small MERT as published: HuBERT under another name, with old names of weight norm."""
    transformers = pytest.importorskip("transformers")
    config = transformers.HubertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.HubertModel(config).eval()
    network.save_pretrained(folder)
    content = read_json(folder / "config.json")
    content |= {"model_type": "mert_model", "sample_rate": 24000, "deepnorm": False}
    content |= {"feature_extractor_cqt": False, "attention_relax": -1.0}
    state = read_state(folder / "model.safetensors", MERT[2])
    old = {"original0": "weight_g", "original1": "weight_v"}
    for name in [name for name in state if name.rpartition(".")[2] in old]:
        front = name.removesuffix(".parametrizations.weight." + name.rpartition(".")[2])
        state[f"{front}.{old[name.rpartition('.')[2]]}"] = state.pop(name)
    return network, content, state


def test_mert_is_loaded_as_the_hubert_that_it_is(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr("baselines.speech.WINDOW_SECONDS", 1)
    network, config, state = mert(tmp_path)
    settings = {"sampling_rate": 24000, "do_normalize": True}
    backbone = mert_from(config, settings, state, ["layer1", "mean"])
    assert backbone.sample_rate == 24000

    sound = 0.3 * noise(1.0, 0, 24000)
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=24000, do_normalize=True)
    values = extractor(sound, sampling_rate=24000, return_tensors="pt")["input_values"]
    with torch.no_grad():
        hidden = network(values, output_hidden_states=True).hidden_states[1:]
        found = backbone.embed(torch.from_numpy(sound)[None], 24000)[0, 0]
    assert_near(found[:24], hidden[0].mean(1)[0], 1e-4)
    assert_near(found[24:], torch.stack(hidden).mean(0).mean(1)[0], 1e-4)
    check_backbone(backbone, seconds=2.0)


def test_a_mert_with_parts_that_hubert_lacks_is_refused(tmp_path):
    _, config, state = mert(tmp_path)
    with pytest.raises(WeightsError, match="feature_extractor_cqt"):
        mert_from({**config, "feature_extractor_cqt": True}, {}, state)
    del state["encoder.layer_norm.weight"]
    with pytest.raises(WeightsError, match=r"encoder\.layer_norm\.weight"):
        mert_from(config, {"sampling_rate": 24000, "do_normalize": True}, state)
