"""Pretrained weights under a new head."""

import json

import pytest
import torch
from safetensors.torch import save_file

from melodai import presets
from melodai.config import Config, FrontEndConfig
from melodai.errors import CheckpointError, SettingError
from melodai.models import build_model
from melodai.models.initial import initial_state
from melodai.training.finetune import FineTuning

FRONT_END = FrontEndConfig(image_size=64)


def build(init="random", arch="residual", frontend=FRONT_END, pooling="mean-max"):
    torch.manual_seed(0)
    return build_model(arch, 3, frontend=frontend, pooling=pooling, init=str(init))


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    model = build_model("residual", 7, frontend=FRONT_END, pooling="mean-max")
    about = {"arch": "residual", "frontend": vars(FRONT_END)}
    path = tmp_path / "pretrained.safetensors"
    save_file(initial_state(model), path, {"melodai": json.dumps(about)})
    return path


@pytest.mark.parametrize("pooling", ["mean-max", "dense"])
def test_feature_maps_are_taken_and_the_head_is_new(weights, pooling):
    plain, begun = build(pooling=pooling), build(weights.parent, pooling=pooling)
    fresh, taken = plain.encoder.state_dict(), begun.encoder.state_dict()
    for name in fresh:
        if fresh[name].ndim > 1:  # convolutions and dense layers; norms begin alike
            is_head = name.startswith(("classifier.", "embedding."))
            assert torch.equal(fresh[name], taken[name]) == is_head, name


def test_weights_of_another_network_or_front_end_are_refused_with_the_remedy(weights):
    with pytest.raises(SettingError, match="residual, not of advanced"):
        build(weights, arch="advanced")
    with pytest.raises(SettingError, match=r"--n-mels 128.*--init random"):
        build(weights, frontend=FrontEndConfig(n_mels=64, image_size=64))


def test_a_file_that_is_damaged_missing_or_something_else_is_named(weights, tmp_path):
    weights.write_bytes(weights.read_bytes()[:1000])
    (tmp_path / "other.safetensors").write_text("no weights")
    for path in (weights, tmp_path / "other.safetensors", tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match=path.name):
            build(path)


def test_the_head_alone_learns_where_the_backbone_has_no_rate(weights):
    model = build(weights)
    settings = Config().with_options(backbone_rate=0.0, unfreeze_epochs=1).training
    finetuning = FineTuning(model.encoder, settings)
    model.encoder.train()
    finetuning.begin_epoch(50)
    learning = {name for name, p in model.encoder.named_parameters() if p.requires_grad}
    assert learning == {"classifier.2.weight", "classifier.2.bias"}
    assert not any(block.training for part in model.encoder.map_parts for block in part)


def test_the_recipe_begins_with_the_weights_that_are_there():
    has_weights = presets.shipped_weights("residual") is not None
    init = "pretrained" if has_weights else "random"
    assert presets.default("residual").model.init == init
    assert presets.default("residual", "random").training.epochs > 12
    assert presets.study("residual").model == Config().model
