"""VGGish: the published front end, layers, parameters and layout."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from baselines import backbones
from baselines.vggish import Vggish
from baselines.weights import WeightFile, load_exactly, read_state
from melodai.files import file_digest
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone, randomise

# Of the published definition: three blocks of layers in a state dict, by name.
SHAPES = {
    "features.0": (64, 1, 3, 3), "features.3": (128, 64, 3, 3), "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3), "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3), "embeddings.0": (4096, 12288), "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}  # fmt: skip


@pytest.fixture(scope="module")
def network():
    made = Vggish()
    randomise(made)
    return made.eval()


def their_log_mel(sound: np.ndarray) -> np.ndarray:
    """The published front end in double precision: `(frame, 64)`."""
    count = 1 + (len(sound) - 400) // 160
    frames = np.stack([sound[160 * i : 160 * i + 400] for i in range(count)]).astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))
    magnitude = np.abs(np.fft.rfft(frames * window, 512))
    edges = np.linspace(*(1127 * np.log(1 + f / 700) for f in (125.0, 7500.0)), 66)
    bins = 1127 * np.log(1 + np.linspace(0, 8000, 257) / 700)
    bank = np.zeros((257, 64))
    for band in range(64):
        low, centre, high = edges[band : band + 3]
        bank[:, band] = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    bank = np.maximum(bank, 0)
    bank[0] = 0
    return np.log(magnitude @ bank + 0.01)


def test_the_front_end_is_the_published_one(network):
    sound = noise(2.5, 0, 16000)
    expected = their_log_mel(sound)[: 2 * 96].reshape(2, 96, 64)
    assert_near(network.front_end(torch.from_numpy(sound)[None])[0], expected, 5e-4)


def test_layers_and_parameters_are_the_published_ones(network):
    state = network.state_dict()
    assert {name: tuple(state[f"{name}.weight"].shape) for name in SHAPES} == SHAPES
    assert len(state) == 2 * len(SHAPES)
    assert network.num_parameters() == 72_141_184
    assert backbones()["vggish"].about.num_parameters == 72_141_184


def test_every_layer_computes_what_the_definition_says(network):
    """Convolutions one by one, then dense layers on maps whose channels stand last."""
    patches = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(0))
    state = network.state_dict()

    def layer(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return state[f"{name}.weight"], state[f"{name}.bias"]

    x = patches[:, None]
    for names in (["0"], ["3"], ["6", "8"], ["11", "13"]):
        for name in names:
            x = F.relu(F.conv2d(x, *layer(f"features.{name}"), padding=1))
        x = F.max_pool2d(x, 2, 2)
    flat = x.numpy().transpose(0, 2, 3, 1).reshape(2, 6 * 4 * 512)
    second = F.linear(torch.from_numpy(flat.copy()), *layer("embeddings.0")).relu()
    second = F.linear(second, *layer("embeddings.2")).relu()
    last = F.linear(second, *layer("embeddings.4")).relu()
    with torch.no_grad():
        found = network.activations(patches)
    assert_near(found["fc2"], second, 1e-4 * float(second.max()))
    assert_near(found["embedding"], last, 1e-4 * float(last.max()))


def test_the_network_keeps_the_contract(network):
    check_backbone(network, seconds=2.0)
    assert network.front_end(torch.zeros(1, 1000)).shape == (1, 1, 96, 64)


def test_a_random_state_in_the_published_layout_comes_back_as_it_was(network, tmp_path):
    path = tmp_path / "vggish-10086976.pth"
    torch.save(network.state_dict(), path)
    file = WeightFile(name=path.name, licence="", source="", sha256=file_digest(path))
    copy = Vggish()
    load_exactly(copy, read_state(path, file), "a test")
    for name, value in network.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name
