"""EfficientAT's mn10: the published front end, layers, parameters and layout."""

from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torchvision.ops import SqueezeExcitation

from baselines.efficientat import EfficientAt, kaldi_mel_bank
from baselines.weights import WeightFile, load_exactly, read_state
from melodai.files import file_digest
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone, randomise


@pytest.fixture(scope="module")
def network():
    made = EfficientAt()
    randomise(made)
    return made.eval()


def test_layers_and_parameters_are_the_published_ones(network):
    """312 entries and 4,901,277 numbers are those of the published file."""
    state = network.state_dict()
    assert len(state) == 312
    assert sum(value.numel() for value in state.values()) == 4_901_277
    assert network.num_parameters() == 4_876_831
    excited = "features.4.block.2.conc_se_layers.0.fc1.weight"
    assert state[excited].shape == (24, 72)
    assert state["classifier.5.bias"].shape == (527,)


def test_the_layers_compute_what_mobilenet_v3_does(network):
    """Torchvision's network, from which the published one is derived, with the same weights.

    It differs in the sigmoid of the excitation and in one channel at the input.
    """
    reference = torchvision.models.mobilenet_v3_large(num_classes=527)
    for module in reference.modules():
        if isinstance(module, SqueezeExcitation):
            module.scale_activation = nn.Sigmoid()
    stem = reference.features[0][0]
    reference.features[0][0] = nn.Conv2d(1, 16, 3, 2, 1, bias=False)
    assert stem.kernel_size == (3, 3)
    own = list(network.state_dict().values())
    names = list(reference.state_dict())
    assert len(own) == len(names)
    shapes = [value.shape for value in reference.state_dict().values()]
    state = {n: v.reshape(s) for n, v, s in zip(names, own, shapes, strict=True)}
    reference.load_state_dict(state)
    pictures = torch.randn(2, 128, 300, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x, y = pictures[:, None], pictures[:, None]
        for number, layer in enumerate(reference.eval().features):
            x, y = layer(x), network.features[number](y)
            assert_near(y, x, 1e-4 * float(x.abs().max()))
        found = network.activations(pictures)
        logits = reference(pictures[:, None])
        assert_near(found["logits"], logits, 1e-4 * float(logits.abs().max()))
        assert_near(found["embedding"], x.mean((2, 3)), 1e-4 * float(x.abs().max()))


def test_the_front_end_is_the_published_one(network):
    """Written out in double precision: pre-emphasis, a short symmetric window, Kaldi's mels."""
    sound = 0.3 * noise(10.0, 0, 32000)
    found = network.front_end(torch.from_numpy(sound)[None])
    assert found.shape == (1, 1, 128, 1000)
    emphasised = np.convolve(sound.astype(np.float64), [1, -0.97], mode="valid")
    padded = np.pad(emphasised, 512, mode="reflect")
    window = np.zeros(1024)
    window[112:912] = np.hanning(800)
    expected = []
    for frame in (0, 17, 999):
        power = np.abs(np.fft.rfft(padded[320 * frame : 320 * frame + 1024] * window)) ** 2
        expected.append((np.log(power @ kaldi_bank() + 1e-5) + 4.5) / 5)
    assert_near(found[0, 0, :, [0, 17, 999]].T, np.stack(expected), 1e-3)


def kaldi_bank() -> np.ndarray:
    """Triangles over mel = 1127 ln(1 + f / 700), without the last bin."""
    mel = partial(lambda hz: 1127 * np.log(1 + np.asarray(hz) / 700))
    edges = np.linspace(mel(0.0), mel(15000.0), 130)
    bins = mel(np.arange(512) * 32000 / 1024)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.pad(np.maximum(0, np.minimum(rising, falling)), ((0, 1), (0, 0)))


def test_the_mel_bank_is_kaldi_s():
    assert_near(kaldi_mel_bank(), kaldi_bank(), 1e-3)


def test_the_network_keeps_the_contract(network, monkeypatch):
    monkeypatch.setattr("baselines.efficientat.WINDOW_SECONDS", 1)
    check_backbone(network, seconds=2.0)


def test_a_random_state_in_the_published_layout_comes_back_as_it_was(network, tmp_path):
    path = tmp_path / "mn10.pt"
    torch.save(network.state_dict(), path)
    file = WeightFile(name=path.name, licence="", source="", sha256=file_digest(path))
    copy = EfficientAt()
    load_exactly(copy, read_state(path, file), "a test")
    for name, value in network.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name
