"""Backbones in melodai's registry: probed, fine-tuned, read by their tags, joined."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from baselines.base import resample
from baselines.jamendo import JamendoVgg
from baselines.mood_model import LEVEL, BackboneFrontEnd, PictureEncoder, mood_model
from baselines.musicnn import MusicnnVgg
from baselines.registration import SUMMARIES
from baselines.tag_moods import TAG_MOODS
from baselines.torchvision_models import torchvision_backbone
from melodai.config import Config
from melodai.errors import SettingError
from melodai.labels import FIVE, THREE
from melodai.models.registry import architectures, find_architecture, mode_of
from melodai.training.augmentation import augment_for, augmented_image
from melodai.training.finetune import FineTuning
from tests.songs import QUICK, make_library, melodai

MOODS = ("energetic", "peaceful", "emotional")


def random_backbone():
    import torchvision

    torch.manual_seed(0)
    return torchvision_backbone("resnet18", torchvision.models.resnet18().state_dict())


def random_model(kind=MusicnnVgg):
    torch.manual_seed(0)
    return mood_model(kind().eval(), MOODS, None).eval()


def test_all_are_listed_with_licence_and_source():
    known = {architecture.name: architecture for architecture in architectures()}
    assert set(SUMMARIES) | {"musicnn-msd", "yamnet", "clap", "log-mel-statistics"} <= set(known)
    listed = melodai("train", "--list-archs", "-v").stdout
    assert re.search(r"^timm:<name> ", listed, re.MULTILINE) and "ImageNet" in listed
    assert re.search(r"^musicnn-mtt .*Magnatune", listed, re.MULTILINE)
    assert "ISC" in listed and "16000 Hz" in listed and "embedding 1706" in listed


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


def test_the_embedding_is_mean_and_deviation_of_the_backbones_frames_at_one_level():
    model = random_model()
    backbone = model.encoder.backbone
    waveform = torch.randn(2, 16000 * 7) * torch.tensor([[0.01], [0.3]])
    with torch.inference_mode():
        found = model.embed(waveform)
        even = waveform / waveform.square().mean(1, keepdim=True).sqrt() * LEVEL
        frames = backbone.embed(even, 16000)
    torch.testing.assert_close(found[:, :256], frames.mean(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[:, 256:], frames.std(1, unbiased=False), atol=1e-4, rtol=1e-3)


def test_an_example_does_not_depend_on_the_length_or_level_of_the_others():
    model = random_model()
    waveform = torch.randn(2, 16000 * 8) * 0.1
    lengths = torch.tensor([16000 * 8, 16000 * 5])
    waveform[1, lengths[1] :] = 0
    with torch.inference_mode():
        together = model(waveform, lengths)
        alone = model(0.25 * waveform[1:, : lengths[1]])
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)


def test_a_network_without_weights_has_room_for_those_of_a_checkpoint():
    for name in ("musicnn-msd", "yamnet", "jamendo-vgg", "vibenet", "vggish", "efficientat-mn10"):
        build = find_architecture(name).build
        from melodai.config import FrontEndConfig

        made = build(moods=MOODS, frontend=FrontEndConfig(), dropout=None, with_weights=False)
        assert made.encoder.state_dict()


@pytest.mark.parametrize("kind", [MusicnnVgg, JamendoVgg])
def test_pictures_of_patches_are_made_and_taken_back(kind):
    frontend = BackboneFrontEnd(kind())
    features = frontend(torch.randn(2, frontend._backbone[0].sample_rate * 40))
    pictures = frontend.to_pictures(features)
    assert pictures.shape[:2] == (2, 1) and pictures.shape[2] == 96
    assert pictures.amin() == -1 and pictures.amax() == 1
    torch.testing.assert_close(
        frontend.from_pictures(pictures, features), features, atol=1e-3, rtol=1e-3
    )


def test_a_low_pass_of_the_augmentation_removes_the_treble_before_a_backbone_hears_it():
    frontend = BackboneFrontEnd(MusicnnVgg())
    waveform = torch.randn(1, 16000 * 6)
    frequencies = torch.linspace(0, 8000, 1025)

    class Draw:
        response = (frequencies < 2000).float()[None]

    mels = frontend(waveform, torch.tensor([16000 * 6]), Draw)[0].mean((0, 1))
    assert mels[-20:].max() < 0.1 * mels[20:40].min()


def test_backbones_are_augmented_without_pitch_and_tempo():
    model = random_model()
    augment = augment_for(model, Config())
    generator = torch.Generator().manual_seed(0)
    draw = augment.draw(2, generator)
    assert draw.pitch_ratio is None and (draw.tempo == 1).all()
    features = model.frontend(torch.randn(2, 16000 * 6))
    changed = augmented_image(augment, model.frontend, features, draw)
    assert changed.shape == features.shape and not torch.equal(changed, features)


def test_fine_tuning_unfreezes_from_the_last_stage_to_the_first_and_slows_towards_it():
    model = random_model()
    settings = Config().with_options(unfreeze_epochs=2, backbone_rate=0.01).training
    tuning = FineTuning(model.encoder, settings)
    shares = [group["share"] for group in tuning.parameter_groups()]
    assert shares[0] == 1 and shares[1] == pytest.approx(0.01)
    assert shares[1:] == sorted(shares[1:])
    learned = []
    for epoch in range(1, 12):
        model.encoder.train()
        tuning.begin_epoch(epoch)
        learned.append(sum(w.requires_grad for w in model.encoder.parameters()))
        norms = [m for m in model.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert not any(norm.training for norm in norms)
    assert learned == sorted(learned) and learned[0] == learned[1] == 2
    assert learned[-1] == len(list(model.encoder.parameters()))


def test_every_mood_is_made_of_tags_that_the_network_has():
    from baselines import backbones

    for name, table in TAG_MOODS.items():
        assert set(table) == {*THREE, *FIVE}
        about = backbones()[name].about
        if name in ("musicnn-msd", "musicnn-mtt", "jamendo-vgg", "vibenet"):
            layers = {"layers": ("logits",)}
            tags = backbones()[name].skeleton(**layers).tag_names
            for weights in table.values():
                assert set(weights) <= set(tags), (name, about.tags)


def test_modes_that_do_not_fit_are_refused_with_a_reason():
    assert mode_of("auto", "residual") == "train"
    assert mode_of("auto", "yamnet") == "probe"
    assert mode_of("auto", "timm:resnet18") == "finetune"
    for mode, arch, word in (
        ("probe", "residual", "pretrained"), ("zero-shot", "vggish", "tags"),
        ("finetune", "yamnet+vggish", "one network"),
    ):  # fmt: skip
        with pytest.raises(SettingError, match=word):
            mode_of(mode, arch)
    with pytest.raises(SettingError, match="not pretrained"):
        find_architecture("residual+yamnet")
    with pytest.raises(SettingError, match="once"):
        find_architecture("yamnet+yamnet")


def test_a_probe_is_trained_evaluated_and_read_back(tmp_path):
    library = make_library(tmp_path / "library", songs_per_mood=5)
    base = ["--data", library, "--cache-dir", tmp_path / "cache", "--num-folds", 3]
    done = melodai(
        "train", *base, "--segment-seconds", 3, "--arch", "log-mel-statistics", "--head", "ridge",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "held out" in done.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["mode"] == "probe" and metrics["head"].startswith("ridge")
    assert len(metrics["candidates"]) > 4
    done = melodai("evaluate", tmp_path / "run", "--cache-dir", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    from melodai.checkpoint import load_model

    model = load_model(tmp_path / "run")
    assert model(torch.randn(1, 22050 * 3)).isfinite().all()
    again = melodai("train", *base, "--arch", "log-mel-statistics", "--out", tmp_path / "run")
    assert again.returncode == 2 and "holds a run already" in again.stderr


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


def test_the_weights_command_says_what_is_there_and_what_to_do(tmp_path):
    environment = {**os.environ, "MELODAI_WEIGHTS": "", "XDG_CACHE_HOME": str(tmp_path)}

    def run(*words):
        code = "import sys; sys.argv[0] = 'melodai-weights'; from baselines.cli import run; run()"
        return subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment
        )

    listed = run("--weights-dir", str(tmp_path))
    assert listed.returncode == 0 and re.search(r"musicnn-msd +missing", listed.stdout)
    missing = run("vggish", "--offline", "--weights-dir", str(tmp_path))
    assert missing.returncode == 3 and "put it at" in missing.stderr
    assert run("nonsense").returncode == 2


def test_resampling_stays_within_reach_of_the_backbones():
    assert resample(torch.zeros(1, 2205), 22050, 16000).shape[1] == 1600


def test_the_sizes_of_features_made_by_hand_are_true():
    from baselines.handcrafted import FEATURES
    from baselines.handcrafted_backbone import SIZES

    waveform = torch.randn(22050 * 3).numpy() * 0.1
    for name, size in SIZES.items():
        assert FEATURES[name](waveform, 22050).values.shape == (size,)
