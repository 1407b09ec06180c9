"""The Jamendo tagger: equal to Essentia and the authors' network."""

import librosa
import numpy as np
import pytest
import torch

from baselines import backbones
from baselines.jamendo import NUM_SAMPLES, JamendoVgg
from baselines.weights import WeightFile, load_exactly, read_state
from melodai.files import file_digest
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone, golden_file, randomise


@pytest.fixture(scope="module")
def golden():
    with np.load(golden_file("jamendo_golden.npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def published():
    folder = golden_file("jamendo_moodtheme_vgg.pth").parent
    return backbones()["jamendo-vgg"].build(folder, offline=True)


def test_every_stage_equals_essentia_and_the_published_network(golden, published):
    assert published.tag_names == tuple(golden["tags"])
    waveform = torch.from_numpy(golden["waveform_12k"].astype(np.float32) / 32768)[None]
    with torch.no_grad():
        log_mel = published.front_end(waveform)[0]
        found = published.activations(log_mel)
        tags = published.tags(waveform, 12000)[0]
    assert_near(log_mel[0], 0.5 * golden["log_mel_script"], 0.025)
    assert_near(tags, golden["scores_10log10"], 1e-4)
    assert_near(found["embedding"], golden["embedding_10log10"], 1e-3)


@pytest.mark.parametrize("variant, factor", [("10log10", 0.5), ("script", 1.0)])
def test_from_the_stored_mel_come_the_stored_scores(golden, published, variant, factor):
    log_mel = factor * torch.from_numpy(golden["log_mel_script"])[None]
    with torch.no_grad():
        found = published.activations(log_mel)
    assert_near(found["tags"], golden[f"scores_{variant}"], 1e-6)
    assert_near(found["logits"], golden[f"logits_{variant}"], 1e-5)
    assert_near(found["embedding"], golden[f"embedding_{variant}"], 1e-5)


def test_the_decibels_are_those_that_the_first_batch_norm_has_seen(golden, published):
    """The trap: the present script's 20·log10 lies far from the stored mean, 10·log10 near it."""
    waveform = torch.from_numpy(golden["waveform_12k"].astype(np.float32) / 32768)[None]
    mean, deviation = published.bn_init.running_mean, published.bn_init.running_var.sqrt()
    with torch.no_grad():
        right = published.front_end(waveform)
        doubled = JamendoVgg(decibels=20.0).front_end(waveform)
    assert_near(doubled, 2 * right, 1e-3)
    assert abs((right.mean() - mean) / deviation) < 0.5
    assert abs((doubled.mean() - mean) / deviation) > 1


def test_the_network_without_weights_keeps_the_contract():
    network = JamendoVgg()
    randomise(network)
    # Of dB: the first batch norm brings them into range.
    network.bn_init.running_mean.fill_(-22.7)
    network.bn_init.running_var.fill_(320.3)
    assert network.num_parameters() == backbones()["jamendo-vgg"].about.num_parameters
    check_backbone(network, seconds=4.0)


def test_windows_lie_in_the_middle_or_cover_the_song():
    network = JamendoVgg()
    sound = torch.from_numpy(noise(40.0, 0, 12000))[None]
    start = (sound.shape[1] - NUM_SAMPLES) // 2
    middle = network.log_mel(sound[:, None, start : start + NUM_SAMPLES])
    assert torch.equal(network.front_end(sound), middle)
    assert network.front_end(sound.repeat(1, 2)).shape == (1, 3, 96, 1366)


def test_the_mel_filters_are_librosa_s():
    expected = librosa.filters.mel(sr=12000, n_fft=512, n_mels=96, norm="slaney")
    assert_near(JamendoVgg().bank.T, expected, 1e-7)


def test_a_random_state_in_the_published_layout_comes_back_as_it_was(tmp_path):
    original, copy = JamendoVgg(), JamendoVgg()
    randomise(original, seed=1)
    path = tmp_path / "best_model.pth"
    torch.save(original.state_dict(), path)
    file = WeightFile(name=path.name, licence="", source="", sha256=file_digest(path))
    load_exactly(copy, read_state(path, file), "a test")
    for name, value in original.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name
