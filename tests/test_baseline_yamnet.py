"""YAMNet: equal to the official Keras network."""

import numpy as np
import pytest
import torch

from baselines.weights import WeightsError, load_exactly
from baselines.yamnet import (
    Yamnet,
    build_yamnet,
    pad_same,
    read_class_names,
    read_keras,
    state_from_keras,
)
from tests.test_baseline_base import (
    assert_near,
    check_backbone,
    golden_file,
    randomise,
)

h5py = pytest.importorskip("h5py", reason="pip install 'melodai[baselines]'")


@pytest.fixture(scope="module")
def golden():
    with np.load(golden_file("yamnet_golden.npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def published():
    """With the very values that the reference was made from, even where the official file is."""
    golden_file("yamnet_golden.npz")
    network = Yamnet(tag_names=read_class_names(golden_file("yamnet_class_map.csv")))
    values = read_keras(golden_file("yamnet_int8_dequant.h5"))
    load_exactly(network, state_from_keras(network, values), "yamnet")
    return network.eval()


def test_every_stage_equals_the_official_network(golden, published):
    waveform = torch.from_numpy(golden["waveform"])[None]
    assert_near(published.bank, golden["mel_matrix"], 2e-5)
    with torch.no_grad():
        patches = published.front_end(waveform)[0]
        found = published.activations(patches)
        tags = published.tags(waveform, 16000)[0]
    assert_near(patches, golden["patches"], 5e-4)
    assert_near(found["embedding"], golden["embeddings"], 1e-3)
    assert_near(found["tags"], golden["scores"], 1e-4)
    best = tags.mean(0).topk(10).indices
    assert [published.tag_names[i] for i in best] == golden["top_classes"].tolist()


def test_its_self_test_passes(golden, published):
    time = np.arange(48000) / 16000
    sine = torch.from_numpy(np.sin(2 * np.pi * 440 * time).astype(np.float32))[None]
    with torch.no_grad():
        zeros = published.tags(torch.zeros(1, 48000), 16000)[0]
        tone = published.tags(sine, 16000)[0]
        noise = published.tags(torch.rand(1, 48000, generator=torch.Generator()) * 2 - 1, 16000)[0]
    assert_near(zeros, golden["test_zeros_scores"], 1e-4)
    assert_near(tone, golden["test_sine_scores"], 1e-4)
    names = published.tag_names
    assert names[zeros.mean(0).argmax()] == "Silence"
    assert names[noise.mean(0).argmax()] == "White noise"
    assert "Sine wave" in [names[i] for i in tone.mean(0).topk(10).indices]


def test_eight_bit_weights_are_named_as_such(monkeypatch):
    folder = golden_file("yamnet_int8_dequant.h5").parent
    if (folder / "yamnet.h5").exists():
        pytest.skip("the official file is here")
    monkeypatch.setenv("MELODAI_WEIGHTS", str(folder))
    assert "8-bit" in build_yamnet(folder, offline=True).weights_note


def test_the_network_without_weights_keeps_the_contract():
    network = Yamnet()
    randomise(network)
    # 3,751,369 counting the statistics of batch norm, as the official summary has it.
    assert network.num_parameters() == 3_751_369 - 2 * 10_944
    check_backbone(network, seconds=2.0)


def test_a_short_sound_is_padded_to_one_patch_and_a_long_one_to_whole_patches():
    network = Yamnet()
    assert network.front_end(torch.zeros(1, 100)).shape == (1, 1, 96, 64)
    assert network.front_end(torch.zeros(1, 15600)).shape == (1, 1, 96, 64)
    assert network.front_end(torch.zeros(1, 15601)).shape == (1, 2, 96, 64)


def test_same_padding_puts_the_odd_zero_at_the_end():
    padded = pad_same(torch.ones(1, 1, 4, 5), kernel=3, stride=2)
    assert padded.shape == (1, 1, 5, 7)
    assert padded[0, 0, :, 3].tolist() == [1, 1, 1, 1, 0]
    assert padded[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 0]


def write_keras(network: Yamnet, path) -> None:
    """The network's state in the published layout."""
    with h5py.File(path, "w") as file:
        for keras, module in network.keras_names().items():
            kernel = module.convolution.weight.detach().numpy()
            if keras.endswith("depthwise_conv"):
                file[f"{keras}/{keras}/depthwise_kernel:0"] = kernel.transpose(2, 3, 0, 1)
            else:
                file[f"{keras}/{keras}/kernel:0"] = kernel.transpose(2, 3, 1, 0)
            norm = {
                "beta": module.norm.bias,
                "moving_mean": module.norm.running_mean,
                "moving_variance": module.norm.running_var,
            }
            for name, value in norm.items():
                file[f"{keras}/bn/{keras}/bn/{name}:0"] = value.detach().numpy()
        file["dense/dense/kernel:0"] = network.output.weight.detach().numpy().T
        file["dense/dense/bias:0"] = network.output.bias.detach().numpy()


def test_a_random_state_in_the_published_layout_comes_back_as_it_was(tmp_path):
    original, copy = Yamnet(), Yamnet()
    randomise(original, seed=1)
    write_keras(original, tmp_path / "yamnet.h5")
    values = read_keras(tmp_path / "yamnet.h5")
    load_exactly(copy, state_from_keras(copy, values), "a test")
    for name, value in original.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name
    del values["dense/bias"]
    with pytest.raises(WeightsError, match="lack dense/bias"):
        state_from_keras(copy, values)
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not an HDF5 file"):
        read_keras(tmp_path / "bad.h5")
