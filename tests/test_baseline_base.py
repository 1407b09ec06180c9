"""What all backbones share; and what the tests of each use: golden files and common checks."""

import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from baselines.base import Backbone, at_least, power_spectrum, resample, windows
from baselines.mel import mel_bank
from melodai.errors import SettingError
from tests.conftest import noise, sine


def golden_file(name: str) -> Path:
    """A reference file from $MELODAI_WEIGHTS or ../shared/weights; skips the test without it."""
    named = os.environ.get("MELODAI_WEIGHTS", "").split(os.pathsep)
    folders = [Path(folder) for folder in named if folder]
    folders.append(Path(__file__).parent.parent.parent / "shared" / "weights")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is neither in $MELODAI_WEIGHTS nor in ../shared/weights")


def golden_waveform() -> torch.Tensor:
    """20 seconds of rock at 16 kHz, `(1, time)`."""
    with np.load(golden_file("golden_waveform_16k.npz")) as file:
        return torch.from_numpy(file["waveform"].astype(np.float32) / 32768)[None]


def assert_near(found, expected, tolerance: float) -> None:
    """The largest absolute difference is within the tolerance."""
    difference = np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)).max()
    assert difference <= tolerance, f"differs by {difference:.3g}, allowed are {tolerance:.3g}"


def randomise(backbone: torch.nn.Module, seed: int = 0) -> None:
    """Random weights that keep activations in range, and statistics that are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in backbone.state_dict().items():
        if not value.is_floating_point():
            continue
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.dim() > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        else:
            value.normal_(1 if name.endswith("weight") else 0, 0.1, generator=generator)


def settle(backbone: Backbone, seconds: float = 1.0) -> None:
    """Sets the statistics of batch norm to those of a sound, as after training.

    A deep network with other statistics amplifies rounding until nothing else is left.
    """
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    sound = torch.from_numpy(noise(seconds, 3, backbone.sample_rate))[None]
    tone = torch.from_numpy(sine(seconds, 300, backbone.sample_rate))[None]
    with torch.no_grad():
        backbone.train().embed(torch.cat([sound, tone, sound + tone]), backbone.sample_rate)
    backbone.eval()


def check_backbone(backbone: Backbone, seconds: float) -> None:
    """Shapes, independence of the examples, gradients, other sample rates."""
    backbone.eval()
    rate = backbone.sample_rate
    songs = [noise(seconds, 1, rate), sine(seconds, 440, rate), 0.1 * noise(seconds, 2, rate)]
    batch = torch.from_numpy(np.stack(songs))
    with torch.no_grad():
        together = backbone.embed(batch, rate)
        alone = torch.cat([backbone.embed(song[None], rate) for song in batch])
    assert together.shape == (3, alone.shape[1], backbone.embedding_size)
    assert torch.isfinite(together).all()
    largest = float(together.abs().max())
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4 * largest)
    assert (together[0] - together[1]).abs().max() > 1e-3 * together[0].abs().max()

    with torch.no_grad():
        other = backbone.embed(batch[:1, : 22050 * round(seconds)], 22050)
    assert other.shape[2] == backbone.embedding_size
    assert torch.isfinite(other).all()

    if backbone.tag_names is not None:
        with torch.no_grad():
            tags = backbone.tags(batch, rate)
        assert tags.shape == (3, together.shape[1], len(backbone.tag_names))
        assert tags.min() >= 0 and tags.max() <= 1

    backbone.embed(batch[:2], rate).square().mean().backward()
    gradients = [p.grad for p in backbone.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    backbone.zero_grad(set_to_none=True)


class Levels(Backbone):
    """Mean and peak of windows of a second."""

    name, sample_rate, licence, source = "levels", 8000, "none", "this test"
    layer_sizes = {"mean": 1, "peak": 1}  # noqa: RUF012
    default_layers = ("mean", "peak")
    patches_at_once = 2

    def front_end(self, waveform):
        return windows(waveform, 8000)

    def activations(self, patches):
        assert len(patches) <= self.patches_at_once
        return {"mean": patches.mean(1, keepdim=True), "peak": patches.amax(1, keepdim=True)}


def test_layers_are_joined_in_the_order_asked_for():
    sound = torch.from_numpy(noise(2.5, 0, 8000))[None]
    both, peak = Levels().embed(sound, 8000), Levels(layers=["peak"]).embed(sound, 8000)
    assert both.shape == (1, 3, 2)
    assert torch.equal(both[..., 1:], peak)
    assert Levels(layers=["peak", "mean"]).embedding_size == 2


def test_an_unknown_layer_is_refused_with_the_known_ones():
    with pytest.raises(SettingError, match="choose from mean, peak"):
        Levels(layers=["top"])


def test_a_backbone_without_tags_says_so():
    with pytest.raises(SettingError, match="no tags"):
        Levels().tags(torch.zeros(1, 8000), 8000)


def test_windows_cover_a_sound_with_as_few_as_possible():
    sound = torch.arange(25.0)[None]
    cut = windows(sound, 10)
    assert cut.shape == (1, 3, 10)
    assert cut[0, 0, 0] == 0 and cut[0, 2, -1] == 24
    assert windows(sound, 25).shape == (1, 1, 25)
    assert windows(sound[:, :4], 10)[0, 0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert at_least(sound, 3) is sound


def test_resampling_keeps_a_tone_and_removes_what_would_alias():
    low = torch.from_numpy(sine(1.0, 1000, 44100))[None]
    high = torch.from_numpy(sine(1.0, 15000, 44100))[None]
    expected = torch.from_numpy(sine(1.0, 1000, 16000))[None]
    inner = slice(1000, -1000)
    assert_near(resample(low, 44100, 16000)[:, inner], expected[:, inner], 1e-3)
    assert resample(high, 44100, 16000)[:, inner].abs().max() < 1e-3
    assert resample(low, 44100, 44100) is low
    for wrong in (torch.zeros(2, 0), torch.zeros(5)):
        with pytest.raises(SettingError):
            resample(wrong, 44100, 16000)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_mel_banks_are_those_of_librosa(scale, norm):
    settings = dict(n_fft=512, n_mels=40, sr=16000, fmin=60, fmax=7000)
    expected = librosa.filters.mel(**settings, htk=scale == "htk", norm=norm)
    bank = mel_bank(
        sample_rate=16000, n_fft=512, n_mels=40, f_min=60, f_max=7000, scale=scale,
        area_norm=norm is not None,
    )  # fmt: skip
    assert_near(bank.T, expected, 1e-6 * expected.max())


@pytest.mark.parametrize("pad", ["constant", "reflect"])
def test_spectra_are_those_of_librosa(pad):
    sound = noise(0.5, 0, 16000)
    expected = np.abs(librosa.stft(sound, n_fft=512, hop_length=128, pad_mode=pad)) ** 2
    window = torch.hann_window(512)
    found = power_spectrum(torch.from_numpy(sound), window, 512, 128, pad=pad)
    assert_near(found.T, expected, 1e-5 * expected.max())
