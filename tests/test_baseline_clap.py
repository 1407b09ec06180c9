"""CLAP: its features, its two halves, and loading its published format."""

import json

import pytest
import torch

from baselines.clap import clap_from
from baselines.hub import read_json
from baselines.weights import WeightFile, read_state
from melodai.errors import SettingError
from melodai.files import file_digest
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone

transformers = pytest.importorskip("transformers")
WORDS = ("<s>", "<pad>", "</s>", "<unk>", "calm", "sad", "happy", "music", "loud")
TEXT = dict(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    vocab_size=len(WORDS), max_position_embeddings=40, projection_dim=12,
)  # fmt: skip
AUDIO = dict(
    patch_embeds_hidden_size=8, depths=[1, 1], num_attention_heads=[1, 2], hidden_size=16,
    projection_dim=12,
)  # fmt: skip
PREPROCESSOR = dict(
    feature_size=64, sampling_rate=48000, hop_length=480, fft_window_size=1024, max_length_s=10,
    frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad",
)  # fmt: skip


def write_tokenizer(folder) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small random model in the files that the hub has."""
    folder = tmp_path_factory.mktemp("clap")
    torch.manual_seed(0)
    config = transformers.ClapConfig(text_config=TEXT, audio_config=AUDIO, projection_dim=12)
    network = transformers.ClapModel(config).eval()
    network.config.save_pretrained(folder)
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    write_tokenizer(folder)
    return folder, network


@pytest.fixture
def backbone(saved):
    folder, _ = saved
    path = folder / "pytorch_model.bin"
    file = WeightFile(name=path.name, licence="", source="", sha256=file_digest(path))
    config = read_json(folder / "config.json")
    preprocessor = read_json(folder / "preprocessor_config.json")
    return clap_from(config, preprocessor, read_state(path, file), folder)


def features(sound):
    extractor = transformers.ClapFeatureExtractor(**PREPROCESSOR)
    return extractor(sound, sampling_rate=48000, return_tensors="pt")["input_features"]


def test_the_features_are_those_of_its_feature_extractor(backbone):
    sound = 0.3 * noise(10.0, 0, 48000)
    found = backbone.front_end(torch.from_numpy(sound)[None])
    assert found.shape == (1, 1, 1001, 64)
    assert_near(found, features(sound), 1e-2)  # of decibels


def test_loading_the_published_format_gives_its_outputs(saved, backbone):
    _, network = saved
    sound = 0.3 * noise(10.0, 1, 48000)
    prompts = {"calm": "calm music", "loud": "loud happy music"}
    tokens = backbone.tokenizer(list(prompts.values()), padding=True, return_tensors="pt")
    with torch.no_grad():
        found = network(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            input_features=features(sound),
            is_longer=torch.zeros(1, 1, dtype=torch.bool),
        )
        backbone.set_prompts(prompts)
        waveform = torch.from_numpy(sound)[None]
        assert_near(backbone.embed(waveform, 48000)[0], found.audio_embeds, 1e-4)
        assert_near(backbone.embed_text(list(prompts.values())), found.text_embeds, 1e-5)
        expected = found.logits_per_audio.softmax(-1)
        assert_near(backbone.tags(waveform, 48000)[0], expected, 1e-4)
    assert backbone.tag_names == ("calm", "loud")


def test_it_has_no_tags_before_it_is_asked_for_some(backbone):
    with pytest.raises(SettingError, match="no tags"):
        backbone.tags(torch.zeros(1, 48000), 48000)


def test_it_keeps_the_contract(backbone):
    backbone.window_samples = 2 * 48000
    backbone.set_prompts({"calm": "calm music", "sad": "sad music"})
    check_backbone(backbone, seconds=2.0)
