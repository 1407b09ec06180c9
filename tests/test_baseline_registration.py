"""Backbones in melodai's registry."""

import os
import re
import subprocess
import sys

import pytest
import torch

from baselines.registration import FAMILIES, PictureEncoder
from baselines.torchvision_models import torchvision_backbone
from melodai.models.registry import architectures
from tests.songs import QUICK, make_library, melodai


def random_backbone():
    import torchvision

    torch.manual_seed(0)
    return torchvision_backbone("resnet18", torchvision.models.resnet18().state_dict())


def test_the_families_are_listed_with_licence_and_source():
    known = {architecture.name: architecture for architecture in architectures()}
    assert set(FAMILIES) <= set(known)
    listed = melodai("train", "--list-archs", "-v").stdout
    assert re.search(r"^timm:<name> ", listed, re.MULTILINE) and "ImageNet" in listed


def test_a_picture_encoder_gives_the_backbones_embedding_and_learns_everywhere():
    backbone = random_backbone()
    encoder = PictureEncoder(backbone, 3, 0.0).eval()
    pictures = torch.rand(2, 1, 224, 224) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(
            encoder.embed(pictures), backbone.activations(pictures)["embedding"]
        )
    encoder.train()(pictures).square().sum().backward()
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


@pytest.mark.slow
def test_the_offline_default_is_trained_and_evaluated_like_any_other_network(tmp_path):
    folders = os.environ.get("MELODAI_WEIGHTS", "").split(os.pathsep)
    if not any(os.path.exists(os.path.join(f, "efficientnet-lite0-57934424.pth")) for f in folders):
        pytest.skip("EfficientNet-lite0 is not in $MELODAI_WEIGHTS")
    library = make_library(tmp_path / "library", songs_per_mood=3)
    quick = [word for word in QUICK if word not in ("--image-size", "64")]
    done = melodai(
        "train", "--data", library, "--cache-dir", tmp_path / "cache", *quick, "--epochs", 1,
        "--num-folds", 3,
        "--arch", "timm:tf_efficientnet_lite0", "--learning-rate", "1e-4",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert melodai("evaluate", tmp_path / "run").returncode == 0


def test_weights_that_cannot_be_had_are_one_clear_sentence(tmp_path):
    code = (
        "import socket\n"
        "def closed(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = closed; socket.getaddrinfo = closed\n"
        "import sys\n"
        "sys.argv = ['melodai', 'train', '--data', '.', '--arch', 'torchvision:resnet18']\n"
        "from melodai.cli.main import run; run()"
    )
    environment = {
        **os.environ, "MELODAI_WEIGHTS": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode not in (0, 1), done.stderr
    assert "resnet18" in done.stderr and "Traceback" not in done.stderr
