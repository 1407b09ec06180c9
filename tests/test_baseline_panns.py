"""PANNs' Cnn14: the published front end, layers, parameters and layout."""

import librosa
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from baselines.panns import PannsCnn14, without_front_end
from baselines.weights import WeightFile, load_exactly, read_state
from melodai.files import file_digest
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone, randomise


@pytest.fixture(scope="module")
def network():
    made = PannsCnn14()
    randomise(made)
    made.bn0.running_mean.fill_(-40)  # decibels
    made.bn0.running_var.fill_(400)
    return made.eval()


def test_the_front_end_is_librosa_s(network):
    sound = 0.3 * noise(10.0, 0, 32000)
    mel = librosa.feature.melspectrogram(
        y=sound, sr=32000, n_fft=1024, hop_length=320, n_mels=64, fmin=50, fmax=14000,
        pad_mode="reflect",
    )  # fmt: skip
    found = network.front_end(torch.from_numpy(sound)[None])
    assert found.shape == (1, 1, 1001, 64)
    assert_near(found[0, 0].T, 10 * np.log10(np.maximum(mel, 1e-10)), 1e-2)


def test_layers_and_parameters_are_the_published_ones(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    channels = (1, 64, 128, 256, 512, 1024, 2048)
    for block in range(1, 7):
        before, after = channels[block - 1 : block + 1]
        assert shapes[f"conv_block{block}.conv1.weight"] == (after, before, 3, 3)
        assert shapes[f"conv_block{block}.conv2.weight"] == (after, after, 3, 3)
        assert f"conv_block{block}.conv1.bias" not in shapes
        assert shapes[f"conv_block{block}.bn2.running_mean"] == (after,)
    assert shapes["bn0.weight"] == (64,)
    assert shapes["fc1.weight"] == (2048, 2048)
    assert shapes["fc_audioset.weight"] == (527, 2048)
    assert network.num_parameters() == 80_753_615


def test_every_layer_computes_what_the_definition_says(network):
    """Sums and norms written out, for a shorter picture."""
    patches = -40 + 20 * torch.randn(2, 101, 64, generator=torch.Generator().manual_seed(0))
    state = network.state_dict()

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"][None, :, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    x = norm(patches[:, None].transpose(1, 3), "bn0").transpose(1, 3)
    for block in range(1, 7):
        for layer in (1, 2):
            kernel = state[f"conv_block{block}.conv{layer}.weight"]
            x = norm(F.conv2d(x, kernel, padding=1), f"conv_block{block}.bn{layer}").relu()
        x = F.avg_pool2d(x, 2) if block < 6 else x
    x = x.mean(3)
    embedding = F.linear(x.amax(2) + x.mean(2), state["fc1.weight"], state["fc1.bias"]).relu()
    logits = F.linear(embedding, state["fc_audioset.weight"], state["fc_audioset.bias"])
    with torch.no_grad():
        found = network.activations(patches)
    assert_near(found["embedding"], embedding, 1e-4 * float(embedding.max()))
    assert_near(found["logits"], logits, 1e-4 * float(logits.abs().max()))


def test_the_network_keeps_the_contract(network, monkeypatch):
    monkeypatch.setattr("baselines.panns.WINDOW_SECONDS", 1)  # ten times less to compute
    check_backbone(network, seconds=2.0)


def test_a_random_state_in_the_published_layout_comes_back_as_it_was(network, tmp_path):
    """With the layers of the front end, and NumPy arrays of the sampler, as in the file."""
    path = tmp_path / "Cnn14.pth"
    state = dict(network.state_dict())
    state["spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(513, 1, 1024)
    state["logmel_extractor.melW"] = torch.zeros(513, 64)
    torch.save({"iteration": 1, "model": state, "sampler": {"order": np.arange(4)}}, path)
    file = WeightFile(name=path.name, licence="", source="", sha256=file_digest(path))
    copy = PannsCnn14()
    load_exactly(copy, without_front_end(read_state(path, file)), "a test")
    for name, value in network.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name
