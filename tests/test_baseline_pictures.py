"""Networks for photographs on log-mel pictures: the right weights, one channel, any model."""

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from baselines.files import EFFICIENTNET_LITE0
from baselines.hub import hub_file
from baselines.pictures import PictureBackbone, take_one_channel
from baselines.timm_models import LITE0, build_timm, lite0_state
from baselines.torchvision_models import build_torchvision, torchvision_backbone
from baselines.weights import WeightsError, find, load_exactly, read_state
from melodai.config import FrontEndConfig
from melodai.errors import SettingError
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone, randomise

SMALL = FrontEndConfig(sample_rate=16000, n_fft=512, hop_length=256, n_mels=64, f_max=8000)


def published_lite0() -> dict:
    path = find(EFFICIENTNET_LITE0)
    if path is None:
        pytest.skip(f"{EFFICIENTNET_LITE0.name} is not in a weights folder")
    return read_state(path, EFFICIENTNET_LITE0)


def grating(num: int) -> torch.Tensor:
    """Two coloured pictures without randomness."""
    n, h, w = torch.meshgrid(
        torch.arange(2.0), torch.arange(224.0), torch.arange(224.0), indexing="ij"
    )
    return torch.stack([torch.sin(0.05 * h * (n + 1) + 0.11 * w + c) for c in range(3)], 1)[:num]


def test_all_entries_of_the_wheel_find_their_place_and_give_its_logits():
    state = published_lite0()
    network = timm.create_model(LITE0)
    renamed = lite0_state(state, network)
    assert len(state) == len(renamed) == len(network.state_dict()) == 296
    load_exactly(network, renamed, LITE0)
    with torch.no_grad():
        logits = network.eval()(grating(2))
    # From efficientnet-lite-pytorch 0.1.0, the network that the weights were made for.
    expected = [
        [-0.22525463, 1.91364408, -0.24046785, -1.42571676, -1.28682554, -0.31458780, -1.46796393,
         -1.84474432],
        [0.27633289, 1.24529946, -0.46166223, -1.52825797, -1.29022181, -0.60457706, -1.05759525,
         -0.57522243],
    ]  # fmt: skip
    assert_near(logits[:, ::125], expected, 1e-4)
    assert logits.argmax(1).tolist() == [767, 807]


def test_the_logits_are_those_of_the_wheel_s_own_network_on_random_pictures():
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="only for this comparison")
    state = published_lite0()
    theirs = reference.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(state)
    network = timm.create_model(LITE0)
    network.load_state_dict(lite0_state(state, network))
    pictures = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_near(network.eval()(pictures), theirs.eval()(pictures), 1e-4)


def test_the_offline_default_gives_the_embedding_of_three_equal_channels():
    network = timm.create_model(LITE0, num_classes=0)
    state = lite0_state(published_lite0(), network)
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier")})
    backbone = build_timm(offline=True)
    pictures = torch.rand(2, 1, 224, 224) * 2 - 1
    with torch.no_grad():
        expected = network.eval()(pictures.expand(-1, 3, -1, -1))
        assert_near(backbone.activations(pictures)["embedding"], expected, 1e-4)
    assert backbone.network.conv_stem.in_channels == 1
    assert backbone.embedding_size == 1280


@pytest.mark.parametrize("variant", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_any_model_of_timm_is_loaded_from_the_hub_s_file(variant, tmp_path):
    original = timm.create_model(variant)
    randomise(original, seed=1)
    cfg = original.pretrained_cfg
    file = hub_file(cfg["hf_hub_id"], "model.safetensors")
    (tmp_path / file.name).parent.mkdir()
    save_file(original.state_dict(), tmp_path / file.name)

    backbone = build_timm(tmp_path, offline=True, variant=variant)
    pictures = torch.rand(2, 1, 224, 224) * 2 - 1
    mean, deviation = sum(cfg["mean"]) / 3, sum(cfg["std"]) / 3
    standardised = ((pictures + 1) / 2 - mean) / deviation
    original.reset_classifier(0)
    with torch.no_grad():
        expected = original.eval()(standardised.expand(-1, 3, -1, -1))
        found = backbone.activations(pictures)["embedding"]
    assert_near(found, expected, 1e-4 * float(expected.abs().max()))
    assert found.shape == (2, backbone.embedding_size)


@pytest.mark.parametrize("variant", ["resnet18", "mobilenet_v3_small"])
def test_torchvision_s_classifiers_lose_their_last_layer_and_two_channels(variant):
    original = torchvision.models.get_model(variant)
    randomise(original, seed=1)
    backbone = torchvision_backbone(variant, original.state_dict())
    pictures = torch.rand(2, 1, 224, 224) * 2 - 1
    standardised = ((pictures + 1) / 2 - 0.449) / 0.226
    last = [module for module in original.modules() if isinstance(module, nn.Linear)][-1]
    seen = []
    last.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        original.eval()(standardised.expand(-1, 3, -1, -1))
        found = backbone.activations(pictures)["embedding"]
    assert_near(found, seen[0], 1e-4 * float(seen[0].abs().max()))


def test_a_file_that_is_not_torchvision_s_is_refused(tmp_path):
    path = tmp_path / "torchvision" / "resnet18-f37072fd.pth"
    path.parent.mkdir()
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(WeightsError, match="not the published"):
        build_torchvision(tmp_path, offline=True, variant="resnet18")


@pytest.mark.parametrize("build", [build_timm, build_torchvision])
def test_without_the_hub_one_sentence_says_what_to_download(build, tmp_path):
    with pytest.raises(WeightsError, match=r"download https://.* and put it at"):
        build(tmp_path, offline=True, variant="resnet18")


@pytest.mark.parametrize("build", [build_timm, build_torchvision])
def test_an_unknown_model_is_refused(build):
    with pytest.raises(SettingError, match="resnet_of_my_own"):
        build(variant="resnet_of_my_own")


def test_a_kernel_that_is_standardised_keeps_three_channels():
    from timm.layers import StdConv2d

    assert not take_one_channel(StdConv2d(3, 4, 3))
    plain = nn.Conv2d(3, 4, 3)
    kernel = plain.weight.detach().sum(1)
    assert take_one_channel(plain)
    assert torch.equal(plain.weight[:, 0], kernel)


def small(seconds: float = 45.0) -> PictureBackbone:
    network = timm.create_model("resnet10t", num_classes=0)
    randomise(network)
    made = PictureBackbone("timm:resnet10t", network, size=512, image_size=64, frontend=SMALL)
    made.window_samples = round(seconds * made.sample_rate)
    return made.eval()


def test_a_network_without_weights_keeps_the_contract():
    check_backbone(small(seconds=1.0), seconds=2.0)


def test_a_song_is_cut_into_windows_of_a_segment_and_a_short_one_is_not_padded():
    backbone = small(seconds=1.0)
    sound = torch.from_numpy(noise(2.5, 0, 16000))[None]
    pictures = backbone.front_end(sound)
    assert pictures.shape == (1, 3, 1, 64, 64)
    assert torch.equal(pictures[:, 0], backbone.log_mel(sound[:, :16000]))
    assert backbone.front_end(sound[:, :4000]).shape == (1, 1, 1, 64, 64)
