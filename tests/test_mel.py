"""The log-mel front end: librosa's definition, pictures that depend on nothing but the sound."""

import copy
from importlib.util import find_spec
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from melodai.audio import decode
from melodai.errors import SettingError
from melodai.transforms.filter_bank import hz_to_mel, mel_edges, mel_filters, mel_to_hz
from melodai.transforms.mel import LogMel, SpectralChange
from melodai.transforms.resize import triangle_weights

SAMPLE_RATE = 22050


def music(seconds: float, seed: int = 0) -> Tensor:
    """Chords with overtones, bursts of noise, a chirp, and the noise of a room; `(1, time)`."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = 0.05 * np.sin(2 * np.pi * (200 * time + 400 * time**2 / seconds))
    for begin in np.arange(0, seconds, 0.5):
        played = np.where(time >= begin, np.exp(-4 * (time - begin)), 0)
        for root in 110 * 2 ** (random.integers(0, 30, 3) / 12):
            for overtone in range(1, 8):
                sound += 0.03 / overtone * played * np.sin(2 * np.pi * root * overtone * time)
        sound += 0.02 * played**8 * random.standard_normal(len(time))
    sound += 1e-3 * random.standard_normal(len(time))
    return torch.from_numpy(sound.astype(np.float32))[None]


def demo_clip() -> Tensor:
    """10 s of a real recording, `(1, time)`."""
    package = find_spec("immich_memories_music")
    if package is None:
        pytest.skip("needs the demo clips: pip install immich-memories-music")
    clips = sorted(Path(package.submodule_search_locations[0]).rglob("*.opus"))
    waveform = decode(clips[0], SAMPLE_RATE).waveform[: 10 * SAMPLE_RATE]
    return torch.from_numpy(waveform)[None].float() / 32768


def batched(model: LogMel, waveform: Tensor, *arguments) -> Tensor:
    """The way of a GPU, on the CPU: it is also the one through which gradients flow."""
    return model(waveform.clone().requires_grad_(), *arguments).detach()


def librosa_decibels(waveform: Tensor, **settings) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=waveform.numpy(), sr=SAMPLE_RATE, pad_mode="constant", **settings
    )
    return librosa.power_to_db(power, ref=1.0, top_db=None)


@pytest.mark.parametrize(("n_mels", "f_min", "f_max"), [(128, 0, 11025), (64, 50, 8000)])
def test_filters_are_librosas(n_mels, f_min, f_max):
    edges = torch.from_numpy(mel_edges(n_mels, f_min, f_max))
    bins = torch.arange(1025).double() * SAMPLE_RATE / 2048
    theirs = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=2048, n_mels=n_mels, fmin=f_min, fmax=f_max, dtype=np.float64
    )
    np.testing.assert_allclose(mel_filters(bins, edges).numpy(), theirs, atol=1e-12)


def test_the_mel_scale_is_librosas_and_can_be_inverted():
    hz = np.array([0.0, 60, 999, 1000, 1001, 5000, 11025])
    np.testing.assert_allclose(hz_to_mel(hz), librosa.hz_to_mel(hz))
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, atol=1e-9)


def assert_agree(ours: Tensor, theirs: np.ndarray) -> None:
    """To 1e-3 dB in the 80 dB that a picture shows; float32 is not exact far below the peak."""
    is_shown = theirs > theirs.max() - 80
    np.testing.assert_allclose(ours.numpy()[is_shown], theirs[is_shown], atol=1e-3)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=0.05)


@pytest.mark.parametrize("sound", [lambda: music(7.3), demo_clip], ids=["made", "demo"])
def test_decibels_agree_with_librosa(sound):
    waveform = sound()
    theirs = librosa_decibels(waveform[0], fmin=0.0, fmax=11025.0)
    model = LogMel(f_max=11025.0)
    assert_agree(model.decibels(waveform)[0], theirs)
    assert_agree(model.decibels(waveform.clone().requires_grad_())[0].detach(), theirs)


def test_decibels_agree_with_librosa_at_other_settings():
    waveform = music(3.0, seed=1)
    ours = LogMel(n_fft=1000, hop_length=300, n_mels=40, f_min=60.0, f_max=8000.0)
    theirs = librosa_decibels(
        waveform[0], n_fft=1000, hop_length=300, n_mels=40, fmin=60.0, fmax=8000.0
    )
    assert_agree(ours.decibels(waveform)[0], theirs)


def test_decibels_of_a_fixed_sound_are_what_librosa_0_11_made_of_it():
    # Chirps in whole numbers, the same on every machine.
    index = torch.arange(SAMPLE_RATE)
    sound = (index**2 * (index // 3000 + 3) % 65536 - 32768) / 65536
    decibels = LogMel(n_mels=16, f_max=11025.0).decibels(sound[None])[0]
    golden = torch.tensor(GOLDEN)
    torch.testing.assert_close(decibels[::3, ::9], golden, atol=1e-2, rtol=0)


@pytest.mark.parametrize("frequency_hz", [110.0, 440.0, 2500.0, 7040.0])
def test_a_tone_lands_in_its_band(frequency_hz):
    time = torch.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    model = LogMel()
    loudest = model.decibels(torch.sin(2 * torch.pi * frequency_hz * time)[None])[0, :, 40].argmax()
    left, right = model.edges[loudest], model.edges[loudest + 2]
    assert left < frequency_hz < right


def test_low_frequencies_are_the_first_rows_and_time_runs_along_the_columns():
    time = torch.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    low_then_high = torch.where(time < 2, 200.0, 5000.0)
    picture = LogMel()(torch.sin(2 * torch.pi * low_then_high * time)[None])[0, 0]
    early, late = picture[:, 50].argmax(), picture[:, 170].argmax()
    assert early < 30 < 150 < late


def test_a_gain_shifts_all_decibels_by_itself():
    waveform = music(3.0)
    model = LogMel()
    louder = model.decibels(waveform * 2) - model.decibels(waveform)
    np.testing.assert_allclose(louder.numpy(), 20 * np.log10(2), atol=1e-4)


@pytest.mark.parametrize("gain_db", [-60.0, -12.0, 12.0])
def test_the_picture_does_not_move_with_the_level(gain_db):
    waveform = 0.2 * music(5.0)
    moved = LogMel()(waveform * 10 ** (gain_db / 20))
    torch.testing.assert_close(moved, LogMel()(waveform), atol=1e-4, rtol=0)
    assert torch.equal(LogMel()(waveform / 64), LogMel()(waveform))  # a power of 2: bit by bit


def test_the_picture_of_a_16_bit_file_hardly_moves_with_its_level():
    waveform = music(5.0)
    waveform *= 0.99 / waveform.abs().max()
    plain, *softer = (
        LogMel()((waveform * 10 ** (gain_db / 20) * 32768).round() / 32768)
        for gain_db in (0.0, -6.0, -12.0)
    )
    for picture in softer:
        assert (40 * (picture - plain)).abs().max() < 0.5  # dB


def test_a_picture_spans_80_db_below_its_maximum():
    model = LogMel(image_size=128)
    waveform = music(128 * 512 / SAMPLE_RATE - 0.01)  # as many frames as columns
    waveform[:, 40_000:50_000] = 0
    picture, decibels = model(waveform), model.decibels(waveform)[0]
    assert picture.shape == (1, 1, 128, 128)
    assert picture.max() == 1 and picture.min() == -1
    expected = (decibels - decibels.max()).clamp(min=-80) / 40 + 1
    torch.testing.assert_close(picture[0, 0], expected, atol=1e-4, rtol=0)


def test_silence_is_the_floor():
    for way in (LogMel(), lambda x: batched(LogMel(), x)):
        assert (way(torch.zeros(2, 30000)) == -1).all()


def test_every_example_is_independent_of_its_batch():
    model = LogMel()
    waveform = torch.cat([music(4.0, seed) * 10.0**-seed for seed in range(3)])
    draw = SpectralChange(torch.tensor([0.9, 1.0, 1.1]), torch.rand(3, 1025))
    num_samples = torch.tensor([88200, 50000, 70001])
    whole = model(waveform, num_samples, draw)
    together = batched(model, waveform, num_samples, draw)
    for i in range(3):
        row = slice(i, i + 1)
        one = SpectralChange(draw.pitch_ratio[row], draw.response[row])
        alone = model(waveform[row], num_samples[row], one)
        assert torch.equal(alone, whole[row])
        alone = batched(model, waveform[row], num_samples[row], one)
        torch.testing.assert_close(alone, together[row], atol=1e-5, rtol=0)


def test_both_ways_of_computing_give_the_same_pictures():
    model = LogMel()
    waveform = torch.cat([music(6.0, seed) for seed in range(3)])
    draw = SpectralChange(torch.tensor([0.89, 1.0, 1.12]), torch.rand(3, 1025) + 0.1)
    num_samples = torch.tensor([132300, 80000, 512])
    pitch = draw._replace(response=None)
    for arguments in [(), (num_samples,), (num_samples, draw), (None, pitch)]:
        torch.testing.assert_close(
            batched(model, waveform, *arguments), model(waveform, *arguments), atol=1e-4, rtol=0
        )


def test_a_batch_that_does_not_fit_in_memory_at_once_is_taken_in_parts(monkeypatch):
    model, waveform = LogMel(), torch.cat([music(2.0, seed) for seed in range(3)])
    whole = batched(model, waveform)
    monkeypatch.setattr("melodai.transforms.mel.BYTES_AT_ONCE", 1)
    torch.testing.assert_close(batched(model, waveform), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_samples", [1, 511, 2048, 30_000])
def test_what_lies_beyond_the_end_of_an_example_does_not_matter(num_samples):
    model, waveform = LogMel(), music(2.0)
    cut = model(waveform[:, :num_samples])
    ends = torch.tensor([num_samples])
    assert torch.equal(model(waveform, ends), cut)
    torch.testing.assert_close(batched(model, waveform, ends), cut, atol=1e-4, rtol=0)
    assert cut.shape == (1, 1, 224, 224) and cut.isfinite().all()


def test_the_number_of_threads_changes_no_bit():
    model, waveform = LogMel(), torch.randn(2, 26 * SAMPLE_RATE)
    before = torch.get_num_threads()
    try:
        results = []
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            results.append(model(waveform))
            assert torch.get_num_threads() == num_threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_it_computes_in_float32_under_autocast_and_in_any_mode():
    model, waveform = LogMel(), music(2.0)
    plain, plain_batched = model(waveform), batched(model, waveform)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(waveform), plain)
        assert torch.equal(batched(model, waveform), plain_batched)
    with torch.inference_mode():
        assert torch.equal(model(waveform), plain)
    assert torch.equal(model.train()(waveform), plain)
    assert torch.equal(copy.deepcopy(model)(waveform), plain)


def test_it_has_no_weights_and_nothing_to_save():
    model = LogMel()
    assert not list(model.parameters()) and not model.state_dict()


@pytest.mark.parametrize(("f_min", "f_max"), [(0.0, 12000.0), (500.0, 400.0)])
def test_impossible_bands_are_refused(f_min, f_max):
    with pytest.raises(SettingError, match="f-max"):
        LogMel(f_min=f_min, f_max=f_max)


@pytest.mark.parametrize("size", [5, 100, 224, 300, 1938])
def test_the_resizing_matrix_is_torchs_antialiased_resize(size):
    values = torch.rand(1, 1, 3, size)
    theirs = F.interpolate(values, (3, 224), mode="bilinear", antialias=True)
    weights = triangle_weights(torch.tensor([size]), 2000, 224)[0]
    padded = F.pad(values, (0, 2000 - size), value=99.0)
    torch.testing.assert_close(padded @ weights, theirs, atol=1e-4, rtol=1e-4)


GOLDEN = [
    [15.629, 4.850, 1.329, 16.040, 15.532],
    [11.830, 4.085, 3.031, 12.754, 12.956],
    [6.451, 4.518, 3.638, 12.395, 10.842],
    [1.280, 5.660, 1.773, 9.660, 9.977],
    [-3.485, 4.440, 7.631, 4.025, 5.905],
    [-6.913, 11.548, 6.520, 0.952, 3.562],
]
