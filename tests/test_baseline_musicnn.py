"""musicnn: equal to the authors' own network, layer by layer."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import backbones
from baselines.files import MUSICNN
from baselines.musicnn import Musicnn, MusicnnVgg, state_from_tensorflow
from baselines.weights import find
from tests.conftest import noise
from tests.test_baseline_base import (
    assert_near,
    check_backbone,
    golden_file,
    golden_waveform,
    randomise,
)

MODELS = {
    "musicnn-msd": "MSD_musicnn",
    "musicnn-mtt": "MTT_musicnn",
    "musicnn-vgg-msd": "MSD_vgg",
    "musicnn-vgg-mtt": "MTT_vgg",
}
# Largest differences that a faithful port shows; max_pool reaches the hundreds.
TOLERANCES = {
    "tags": 1e-5, "logits": 1e-4, "penultimate": 1e-4, "mean_pool": 1e-4, "max_pool": 2e-3,
    "pool5": 1e-4,
}  # fmt: skip


@pytest.fixture(scope="module")
def golden():
    with np.load(golden_file("musicnn_golden.npz")) as file:
        return dict(file)


def published(name: str):
    if any(find(file) is None for file in MUSICNN[MODELS[name]]):
        pytest.skip("the checkpoints are not in a weights folder; `melodai-weights musicnn`")
    return backbones()[name].build(offline=True)


def compare(found: dict, golden: dict, prefix: str) -> None:
    keys = {layer: prefix + layer.replace("tags", "taggram") for layer in found}
    assert keys.keys() == TOLERANCES.keys() & found.keys() | {"logits"}
    for layer, key in keys.items():
        if key in golden:
            expected, values = golden[key], found[layer].numpy()
            assert_near(values.reshape(expected.shape), expected, TOLERANCES[layer])
    assert keys["tags"] in golden


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_equals_the_published_network(name, golden):
    backbone, prefix = published(name), f"{MODELS[name]}/"
    assert backbone.tag_names == tuple(golden[prefix + "tags"])
    with torch.no_grad():
        log_mel = backbone.log_mel(golden_waveform())[0]
        assert_near(log_mel, golden["log_mel"], 5e-5)
        compare(backbone.activations(backbone.front_end(golden_waveform())[0]), golden, prefix)
        tags = backbone.tags(golden_waveform(), 16000)
    assert_near(tags[0], golden[prefix + "taggram"], 1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_from_the_package_s_own_half_precision_mel_come_its_own_results(name, golden):
    backbone, prefix = published(name), f"{MODELS[name]}/quiet_"
    log_mel = torch.from_numpy(golden["quiet_log_mel_f16"].astype(np.float32))
    patches = log_mel[: 6 * 187].unflatten(0, (6, 187))
    with torch.no_grad():
        compare(backbone.activations(patches), golden, prefix)
        quiet = golden_waveform() * float(golden["quiet_gain"])
        assert_near(backbone.log_mel(quiet)[0], log_mel, 2e-3)


def test_loud_music_does_not_overflow():
    backbone = Musicnn()
    loud = torch.from_numpy(np.sign(noise(3.2, 0, 16000)))[None]
    assert torch.isfinite(backbone.front_end(loud)).all()


@pytest.mark.parametrize("network", [Musicnn, MusicnnVgg])
def test_a_network_without_weights_keeps_the_contract(network):
    backbone = network()
    randomise(backbone)
    check_backbone(backbone, seconds=6.2)
    assert backbone.embed(torch.zeros(1, 1000), 16000).shape[1] == 1


class ConvReluNorm(nn.Module):
    def __init__(self, in_channels, out_channels, kernel, padding=0):
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=padding)
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x):
        return self.norm(F.relu(self.convolution(x)))


class WholeMusicnn(nn.Module):
    """The published network, written down as it is."""

    def __init__(self):
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, eps=1e-3)
        self.timbral = nn.ModuleList(ConvReluNorm(1, 204, (7, height)) for height in (38, 67))
        self.temporal = nn.ModuleList(ConvReluNorm(1, 51, (width, 1)) for width in (128, 64, 32))
        self.middle = nn.ModuleList(ConvReluNorm(1, 64, (7, width)) for width in (561, 64, 64))
        self.pool_norm = nn.BatchNorm1d(1506, eps=1e-3)
        self.dense = nn.Linear(1506, 200)
        self.dense_norm = nn.BatchNorm1d(200, eps=1e-3)
        self.output = nn.Linear(200, 50)

    def forward(self, patches):
        def same(x, width):
            return F.pad(x, (0, 0, (width - 1) // 2, width // 2))

        x = self.input_norm(patches[:, None])
        widths = (7, 7, 128, 64, 32)
        front = zip((*self.timbral, *self.temporal), widths, strict=True)
        layers = [torch.cat([layer(same(x, width)).amax(3) for layer, width in front], 1).mT]
        for number, layer in enumerate(self.middle):
            made = layer(same(layers[-1][:, None], 7)).squeeze(3).mT
            layers.append(made + layers[-1] if number else made)
        features = torch.cat(layers, dim=2)
        max_pool, mean_pool = features.amax(1), features.mean(1)
        pooled = self.pool_norm(torch.stack([max_pool, mean_pool], dim=2).flatten(1))
        penultimate = self.dense_norm(F.relu(self.dense(pooled)))
        return {
            "max_pool": max_pool, "mean_pool": mean_pool, "penultimate": penultimate,
            "logits": self.output(penultimate),
        }  # fmt: skip


class WholeVgg(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, eps=1e-3)
        self.blocks = nn.ModuleList(
            ConvReluNorm(channels, 128, (3, 3), padding=1) for channels in (1, 128, 128, 128, 128)
        )
        self.output = nn.Linear(256, 50)

    def forward(self, patches):
        x = self.input_norm(patches[:, None])
        for block, (size, stride) in zip(self.blocks, MusicnnVgg.pools, strict=True):
            x = F.max_pool2d(block(x), size, stride)
        pool5 = x.permute(0, 2, 3, 1).flatten(1)
        return {"pool5": pool5, "logits": self.output(pool5)}


def with_dead_filters(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights; two filters of three have none, and half of the scales are negative."""
    randomise(network, seed)
    generator = torch.Generator().manual_seed(seed)
    for block in network.modules():
        if isinstance(block, ConvReluNorm):
            dead = torch.rand(len(block.norm.weight), generator=generator) < 2 / 3
            block.convolution.weight.data[dead] = 0
            block.norm.running_var[dead] = 0
            block.norm.weight.data *= torch.randn(len(dead), generator=generator).sign()
    return network.eval()


@pytest.mark.parametrize(
    "whole, network, frames",
    [(WholeMusicnn, Musicnn, n) for n in (187, 1, 6, 300)] + [(WholeVgg, MusicnnVgg, 187)],
)
def test_without_its_dead_filters_a_network_answers_as_before(whole, network, frames):
    published, pruned = with_dead_filters(whole()), network().eval()
    pruned.load_state_dict(published.state_dict())
    assert pruned.num_parameters() < 0.7 * sum(w.numel() for w in published.parameters())
    patches = torch.rand(2, frames, 96, generator=torch.Generator().manual_seed(1)) * 3
    with torch.no_grad():
        found = pruned.activations(patches)
        for layer, expected in published(patches).items():
            assert found[layer].shape == expected.shape
            assert_near(found[layer], expected, 1e-4 * float(expected.abs().max()))

    again = network().eval()
    again.load_state_dict(pruned.state_dict())
    with torch.no_grad():
        assert torch.equal(again.activations(patches)["logits"], found["logits"])


@pytest.mark.parametrize("whole, network", [(WholeMusicnn, Musicnn), (WholeVgg, MusicnnVgg)])
def test_variables_of_tensorflow_find_their_places_again(whole, network):
    """A random state written in TensorFlow's names and axes comes back as it was."""
    original = whole()
    randomise(original, seed=1)
    theirs = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    variables = {"beta1_power": np.zeros(())}
    for layer, name in network.tensorflow_names().items():
        module = original.get_submodule(name)
        is_norm = hasattr(module, "running_mean")
        for kind, value in module.state_dict().items():
            value = value.numpy()
            if kind == "weight" and not is_norm:
                value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
            names = {"weight": "gamma", "bias": "beta"} if is_norm else {"weight": "kernel"}
            if kind != "num_batches_tracked":
                variables[f"{layer}/{(theirs | names).get(kind, kind)}"] = value
    expected = original.state_dict()
    found = state_from_tensorflow(network, variables)
    assert found.keys() == {name for name in expected if "num_batches" not in name}
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
