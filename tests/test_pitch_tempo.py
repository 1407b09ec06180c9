"""Pitch, tempo and frequency responses that cost nothing, against tones, clicks and librosa."""

import math
from importlib.util import find_spec
from pathlib import Path

import librosa
import numpy as np
import pytest
import soxr
import torch
from torch import Tensor

from melodai.audio import decode
from melodai.transforms.mel import LogMel, SpectralChange
from melodai.transforms.pitch_tempo import Pitch, Tempo
from melodai.transforms.response import (
    Equalizer,
    EqualizerParameters,
    LowPass,
    LowPassParameters,
)

SAMPLE_RATE = 22050
BINS_HZ = torch.arange(1025) * SAMPLE_RATE / 2048


def tone(frequency_hz: float, seconds: float = 2.0) -> Tensor:
    time = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.5 * torch.sin(2 * torch.pi * frequency_hz * time)[None]


def moved_by(ratio: float) -> SpectralChange:
    return SpectralChange(pitch_ratio=torch.tensor([ratio]))


def decibels_apart(picture: Tensor, other: Tensor) -> float:
    """RMS of the difference of two pictures in dB."""
    return 40 * (picture - other).square().mean().sqrt().item()


def correlation(picture: Tensor, other: Tensor) -> float:
    return float(np.corrcoef(picture.flatten(), other.flatten())[0, 1])


@pytest.fixture(scope="module")
def song() -> Tensor:
    """12 s of a real recording, `(1, time)`."""
    package = find_spec("immich_memories_music")
    if package is None:
        pytest.skip("needs the demo clips: pip install immich-memories-music")
    clips = sorted(Path(package.submodule_search_locations[0]).rglob("*.opus"))
    waveform = decode(clips[3], SAMPLE_RATE).waveform[: 12 * SAMPLE_RATE]
    return torch.from_numpy(waveform)[None].float() / 32768


@pytest.mark.parametrize("semitones", [-2.0, -0.7, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("frequency_hz", [261.6, 1000.0, 4186.0])
def test_a_tone_that_is_moved_looks_like_the_tone_of_that_pitch(frequency_hz, semitones):
    ratio = 2 ** (semitones / 12)
    model = LogMel()
    real = model.decibels(tone(frequency_hz * ratio))[0, :, 20:60].mean(1)
    moved = model.decibels(tone(frequency_hz), None, moved_by(ratio))[0, :, 20:60].mean(1)
    # Centre of gravity of the lobe around the peak, in bands and parts of one.
    bands = torch.arange(128.0)

    def centre(decibels: Tensor) -> Tensor:
        power = 10 ** (decibels / 10)
        return (power * bands).sum() / power.sum()

    assert (centre(real) - centre(moved)).abs() < 0.15
    unmoved = centre(model.decibels(tone(frequency_hz))[0, :, 20:60].mean(1))
    assert (centre(real) - unmoved).abs() > 3 * (centre(real) - centre(moved)).abs()


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.12])
def test_a_record_played_faster_is_higher_and_faster_by_the_same_ratio(song, ratio):
    faster = soxr.resample(song[0].numpy(), SAMPLE_RATE * ratio, SAMPLE_RATE, quality="VHQ")
    model = LogMel(f_max=9000.0)
    real = model(torch.from_numpy(faster)[None])
    moved = model(song, None, moved_by(ratio))
    # The window of the Fourier transform is not stretched: onsets and low tones differ a little.
    assert decibels_apart(moved, real) < 1.2
    if ratio != 1:
        assert decibels_apart(model(song), real) > 3.0


@pytest.mark.parametrize("semitones", [-2, -1, 1, 2])
def test_pitch_agrees_with_librosas_phase_vocoder(song, semitones):
    shifted = librosa.effects.pitch_shift(song[0].numpy(), sr=SAMPLE_RATE, n_steps=semitones)
    model = LogMel()
    theirs = model(torch.from_numpy(shifted)[None])
    ours = model(song, None, moved_by(2 ** (semitones / 12)))
    assert correlation(ours, theirs) > 0.98
    assert correlation(model(song), theirs) < correlation(ours, theirs) - 0.03


@pytest.mark.parametrize("tempo", [0.9, 1.1])
def test_tempo_agrees_with_librosas_phase_vocoder(song, tempo):
    window = song[:, : 10 * SAMPLE_RATE]
    stretched = librosa.effects.time_stretch(song[0].numpy(), rate=tempo)[: 10 * SAMPLE_RATE]
    model = LogMel()
    ours = model(song[:, : round(10 * SAMPLE_RATE * tempo)])
    theirs = model(torch.from_numpy(stretched)[None])
    assert correlation(ours, theirs) > 0.98
    assert correlation(model(window), theirs) < correlation(ours, theirs) - 0.03


@pytest.mark.parametrize("tempo", [0.9, 1.0, 1.1])
def test_an_onset_moves_to_the_right_column(tempo):
    seconds, onset_seconds = 10.0, 6.0
    waveform = torch.zeros(1, round(1.1 * seconds * SAMPLE_RATE))
    waveform[0, round(onset_seconds * SAMPLE_RATE)] = 1.0
    num_samples = torch.tensor([round(seconds * tempo * SAMPLE_RATE)])
    picture = LogMel()(waveform, num_samples)[0, 0]
    level = picture.mean(0) + 1
    column = (level * (torch.arange(224) + 0.5)).sum() / level.sum()
    assert column.item() == pytest.approx(224 * onset_seconds / (seconds * tempo), abs=1.0)


def test_a_ratio_of_1_and_a_response_of_1_change_no_bit():
    model, waveform = LogMel(), torch.randn(2, 30_000)
    plain = model(waveform)
    for draw in [
        SpectralChange(),
        SpectralChange(torch.ones(2)),
        SpectralChange(None, torch.ones(2, 1025)),
        SpectralChange(torch.ones(2), torch.ones(2, 1025)),
    ]:
        assert torch.equal(model(waveform, None, draw), plain)


def test_what_is_moved_down_leaves_the_top_empty():
    model = LogMel(f_max=11025.0)
    decibels = model.decibels(torch.randn(1, 30_000), None, moved_by(0.5))[0]
    is_beyond = model.edges[:-2] > SAMPLE_RATE / 4
    assert (decibels[is_beyond] == -100).all()
    assert (decibels[model.edges[2:] < SAMPLE_RATE / 4] > -50).all()


def test_pitch_and_tempo_are_drawn_evenly_within_their_bounds():
    generator = torch.Generator().manual_seed(0)
    semitones = 12 * Pitch(2.0).sample(4000, generator).log2()
    tempo = Tempo(0.1).sample(4000, generator)
    for values, centre, bound in ((semitones, 0.0, 2.0), (tempo, 1.0, 0.1)):
        assert (values - centre).abs().max() <= bound * 1.0001
        assert values.mean().item() == pytest.approx(centre, abs=bound / 20)
        assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("order", [2.0, 5.0])
def test_a_low_pass_halves_the_power_at_its_cutoff_and_falls_by_its_slope_beyond(order):
    low_pass = LowPass(probability=1.0, min_hz=1000.0, max_hz=1000.0)
    parameters = LowPassParameters(
        torch.tensor([True]), torch.tensor([1000.0]), torch.tensor([order])
    )
    frequencies = torch.tensor([50.0, 1000.0, 4000.0, 8000.0])
    decibels = 10 * low_pass.response(parameters, frequencies)[0].log10()
    assert decibels[0].abs() < 0.01
    assert decibels[1].item() == pytest.approx(-3.01, abs=0.01)
    assert (decibels[2] - decibels[3]).item() == pytest.approx(6.02 * order, abs=0.05)


def test_the_steepest_low_pass_is_finite_and_the_inactive_one_is_1():
    low_pass = LowPass(probability=0.5, min_hz=100.0, max_hz=100.0)
    parameters = LowPassParameters(
        torch.tensor([True, False]), torch.full((2,), 100.0), torch.full((2,), 64.0)
    )
    response = low_pass.response(parameters, BINS_HZ)
    assert response.isfinite().all() and response[0, -1] == 0
    assert (response[1] == 1).all()


def test_a_response_shows_in_the_picture_where_it_should():
    model = LogMel()
    waveform = torch.randn(1, 5 * SAMPLE_RATE)
    low_pass = LowPass(probability=1.0, min_hz=2000.0, max_hz=2000.0)
    parameters = LowPassParameters(
        torch.tensor([True]), torch.tensor([2000.0]), torch.tensor([3.0])
    )
    draw = SpectralChange(None, low_pass.response(parameters, BINS_HZ))
    change = model.decibels(waveform, None, draw) - model.decibels(waveform)
    change = change[0].mean(1)
    centres = model.edges[1:-1]
    expected = -10 * torch.log10(1 + (centres / 2000) ** 6)
    is_fine = centres > 100  # wider than a bin of the filter
    torch.testing.assert_close(change[is_fine], expected[is_fine], atol=0.3, rtol=0)


def test_an_equalizer_passes_through_its_gains():
    equalizer = Equalizer(max_db=6.0, min_hz=100.0, max_hz=3200.0)
    gains = torch.tensor([[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]])
    parameters = EqualizerParameters(torch.tensor([True]), gains)
    at_nodes = torch.tensor([10.0, 100, 200, 400, 800, 1600, 3200, 10_000])
    decibels = 10 * equalizer.response(parameters, at_nodes)[0].log10()
    expected = torch.tensor([1.0, 1, -2, 3, -4, 5, -6, -6])
    torch.testing.assert_close(decibels, expected, atol=1e-4, rtol=0)
