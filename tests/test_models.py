"""Every registered network, and the registry itself."""

import copy

import pytest
import torch

from melodai.config import FrontEndConfig
from melodai.errors import SettingError
from melodai.models import registry
from melodai.models.registry import AUTO_MIN_TRACKS_FOR_RESIDUAL, build_model, register_model

OWN = ("advanced", "residual")
SMALL = FrontEndConfig(image_size=64)


def small_model(arch: str, classes: int = 3):
    torch.manual_seed(0)
    return build_model(arch, classes, frontend=SMALL)


@pytest.mark.parametrize("arch", OWN)
@pytest.mark.parametrize("classes", [2, 5])
def test_one_logit_comes_out_for_each_mood_whatever_the_length(arch, classes):
    model = small_model(arch, classes).eval()
    for seconds in (1.0, 3.7):
        logits = model(torch.randn(2, int(seconds * model.sample_rate)))
        assert logits.shape == (2, classes)
        assert logits.isfinite().all()


@pytest.mark.parametrize("arch", OWN)
def test_every_weight_gets_a_finite_gradient_and_none_is_idle(arch):
    encoder = small_model(arch).encoder.train()
    encoder(torch.randn(4, 1, 64, 64)).square().sum().backward()
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("arch", OWN)
def test_an_example_does_not_depend_on_the_others_of_its_batch(arch):
    encoder = small_model(arch).encoder.eval()
    pictures = torch.randn(5, 1, 64, 64)
    with torch.inference_mode():
        together = encoder(pictures)
        alone = torch.cat([encoder(pictures[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", OWN)
def test_a_batch_of_one_can_be_trained_on(arch):
    encoder = small_model(arch).encoder.train()
    encoder(torch.randn(1, 1, 64, 64)).sum().backward()


@pytest.mark.parametrize("arch", OWN)
def test_the_state_dict_makes_the_same_network(arch):
    first, second = small_model(arch).encoder.eval(), build_model(arch, 3, frontend=SMALL).encoder
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    picture = torch.randn(1, 1, 64, 64)
    assert torch.equal(first(picture), second.eval()(picture))


@pytest.mark.parametrize("arch", OWN)
def test_the_front_end_has_no_weights_and_leaves_no_trace_in_the_state(arch):
    model = small_model(arch)
    assert not list(model.frontend.parameters())
    assert all(name.startswith("encoder.") for name in model.state_dict())


def filled(encoder: torch.nn.Module) -> torch.nn.Module:
    """Every weight from one fixed sine, so that the logits pin the architecture down."""
    start = 0
    for weight in encoder.parameters():
        count = weight.numel()
        values = torch.sin(torch.arange(start, start + count, dtype=torch.float64) * 0.7)
        scale = 0.5 / max(weight[0].numel(), 1) ** 0.5 if weight.dim() > 1 else 0.5
        weight.data = (values * scale + (weight.dim() == 1) * 0.5).float().view_as(weight)
        start += count
    return encoder.eval()


# Logits of the networks above on a fixed picture. They change only if the architecture does.
GOLDEN = {
    "advanced": [-1.1083799600601196, 1.297529935836792, -0.5506259202957153],
    "residual": [-0.4801657795906067, 2.2638134956359863, -0.2911626100540161],
}


@pytest.mark.parametrize("arch", OWN)
def test_logits_from_fixed_weights_are_those_on_record(arch):
    encoder = filled(small_model(arch).encoder)
    picture = torch.sin(torch.arange(64 * 64, dtype=torch.float64) * 0.01).float()
    with torch.inference_mode():
        logits = encoder(picture.view(1, 1, 64, 64))[0]
    torch.testing.assert_close(logits, torch.tensor(GOLDEN[arch]), rtol=1e-3, atol=1e-4)


def test_the_networks_are_those_of_the_study():
    advanced, residual = small_model("advanced"), small_model("residual")
    convolutions = {
        arch: [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
        for arch, model in (("advanced", advanced), ("residual", residual))
    }
    assert [c.out_channels for c in convolutions["advanced"]] == [64, 128, 128, 256, 256, 512, 512]
    three_by_three = [c.out_channels for c in convolutions["residual"] if c.kernel_size == (3, 3)]
    assert three_by_three == [64] * 4 + [128] * 4 + [256] * 4
    for model in (advanced, residual):
        stem = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
        assert (stem.kernel_size, stem.stride, stem.out_channels) == ((7, 7), (2, 2), 64)
        dense = [m.out_features for m in model.modules() if isinstance(m, torch.nn.Linear)]
        assert dense == [512, 256, 3]


def test_dropout_can_be_set_and_does_nothing_in_evaluation():
    model = build_model("residual", 3, frontend=SMALL, dropout=0.0)
    picture = torch.randn(2, 1, 64, 64)
    model.encoder.train()
    assert torch.equal(model.encoder(picture), model.encoder(picture))
    model = small_model("residual")
    model.encoder.train()
    assert not torch.equal(model.encoder(picture), model.encoder(picture))


def test_auto_is_advanced_for_few_songs_and_residual_for_many():
    limit = AUTO_MIN_TRACKS_FOR_RESIDUAL
    assert registry.resolve_arch("auto", limit - 1) == "advanced"
    assert registry.resolve_arch("auto", limit) == "residual"
    assert registry.resolve_arch("residual", 2) == "residual"


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(SettingError, match=r"resnot.*auto, advanced, residual"):
        build_model("resnot", 3)


def test_a_name_cannot_be_registered_twice():
    registry.architectures()
    with pytest.raises(ValueError, match="registered already"):
        register_model("residual", summary="another")(lambda **settings: None)


def test_a_family_hands_on_what_stands_behind_its_colon(monkeypatch):
    monkeypatch.setattr(registry, "_architectures", dict(registry._architectures))
    asked = {}
    register_model("toy:", summary="a family")(lambda **settings: asked.update(settings))
    build_model("toy:small", 3)
    assert asked["variant"] == "small" and asked["moods"] == ("class_0", "class_1", "class_2")


def test_one_class_is_refused():
    with pytest.raises(SettingError, match="at least two"):
        build_model("residual", 1)
