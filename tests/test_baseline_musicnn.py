"""musicnn: equal to the authors' own network, layer by layer."""

import numpy as np
import pytest
import torch

from baselines import backbones
from baselines.files import MUSICNN
from baselines.musicnn import Musicnn, MusicnnVgg, state_from_tensorflow
from baselines.weights import WeightsError, find, load_exactly
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
# Largest differences that a faithful port shows; cnn* and max_pool reach the hundreds.
TOLERANCES = {
    "tags": 1e-5, "logits": 1e-4, "penultimate": 1e-4, "mean_pool": 1e-4,
    "timbral": 2e-4, "temporal": 2e-4, "cnn1": 2e-3, "cnn2": 2e-3, "cnn3": 2e-3, "max_pool": 2e-3,
    "pool1": 2e-4, "pool2": 2e-4, "pool3": 2e-4, "pool4": 2e-4, "pool5": 1e-4,
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
    keys = [key for key in golden if key.startswith(prefix) and not key.endswith("/tags")]
    for key in keys:
        layer = key.removeprefix(prefix).replace("taggram", "tags")
        if layer.startswith("quiet_"):
            continue
        expected, values = golden[key], found[layer].numpy()
        values = values[:, ::4] if layer in ("pool1", "pool2") else values  # stored thinned
        assert_near(values[: len(expected)].reshape(expected.shape), expected, TOLERANCES[layer])
    assert keys


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


@pytest.mark.parametrize("network, parameters", [(Musicnn, 787159), (MusicnnVgg, 605748)])
def test_a_network_without_weights_keeps_the_contract(network, parameters):
    backbone = network()
    randomise(backbone)
    assert backbone.num_parameters() == parameters
    check_backbone(backbone, seconds=6.2)
    assert backbone.embed(torch.zeros(1, 1000), 16000).shape[1] == 1


@pytest.mark.parametrize("network", [Musicnn, MusicnnVgg])
def test_variables_of_tensorflow_find_their_places_again(network):
    """A random state written in TensorFlow's names and axes comes back as it was."""
    original, copy = network(), network()
    randomise(original, seed=1)
    theirs = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    variables = {"beta1_power": np.zeros(())}
    for layer, module in original.tensorflow_names().items():
        is_norm = hasattr(module, "running_mean")
        for kind, value in module.state_dict().items():
            value = value.numpy()
            if kind == "num_batches_tracked":
                continue
            if kind == "weight" and not is_norm:
                value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
            names = {"weight": "gamma", "bias": "beta"} if is_norm else {"weight": "kernel"}
            variables[f"{layer}/{(theirs | names).get(kind, kind)}"] = value
    load_exactly(copy, state_from_tensorflow(copy, variables), "a test")
    for name, value in original.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name

    del variables["dense/bias"]
    with pytest.raises(WeightsError, match="bias"):
        load_exactly(copy, state_from_tensorflow(copy, variables), "a test")
