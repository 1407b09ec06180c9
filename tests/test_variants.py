"""Variants of a sound, physics first."""

import pytest
import torch

from melodai.transforms.variants import LEVEL, Variants

RATE = 22050


def make(**changes):
    settings = dict(
        seconds=1.0, sample_rate=RATE, max_speed=1.2, equalizer_db=6.0, mix_probability=0.5
    )
    return Variants(**{**settings, **changes})


def tone(frequency_hz: float, num_samples: int) -> torch.Tensor:
    return torch.sin(2 * torch.pi * frequency_hz * torch.arange(num_samples) / RATE)


def pitch(waveform: torch.Tensor, rate: int) -> float:
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform)))
    return spectrum.abs().argmax().item() * rate / len(waveform)


def test_an_unchanged_variant_is_the_source_at_one_level_at_every_rate():
    variants = make()
    source = tone(440, variants.source_samples(1.0))
    heard = variants.apply([(source, None)], variants.unchanged(1), [RATE, 16000])
    assert [len(one[0]) for one in heard] == [RATE, 16000]
    for one, rate in zip(heard, [RATE, 16000], strict=True):
        assert pitch(one[0], rate) == pytest.approx(440, abs=1)
        assert one[0].square().mean().sqrt().item() == pytest.approx(LEVEL, rel=1e-3)
    margin = round(0.1 * RATE)
    expected = source[margin : margin + RATE]
    expected = expected * LEVEL / expected.square().mean().sqrt()
    assert torch.allclose(heard[0][0], expected, atol=1e-5)


def test_twice_the_speed_is_twice_the_pitch():
    variants = make()
    parameters = variants.unchanged(1)._replace(speed=torch.tensor([[1.2, 1.0]]))
    source = tone(500, variants.source_samples(1.2))
    (heard,) = variants.apply([(source, None)], parameters, [16000])
    assert pitch(heard[0], 16000) == pytest.approx(600, abs=1.5)


def test_a_mixture_holds_both_sounds_in_their_shares_whatever_their_levels():
    variants = make()
    parameters = variants.unchanged(1)._replace(share=torch.tensor([0.4]))
    length = variants.source_samples(1.0)
    (heard,) = variants.apply([(0.01 * tone(500, length), tone(2000, length))], parameters, [RATE])
    power = torch.fft.rfft(heard[0]).abs().square()
    share = power[400:600].sum().sqrt() / power[1900:2100].sum().sqrt()
    assert share.item() == pytest.approx(0.4 / 0.6, rel=0.02)


def test_silence_stays_silent_and_a_direct_current_is_not_heard():
    variants = make()
    length = variants.source_samples(1.0)
    sources = [(torch.zeros(length), None), (tone(440, length) + 0.5, None)]
    silent, shifted = variants.apply(sources, variants.unchanged(2), [RATE])[0]
    assert silent.abs().max() == 0
    assert abs(shifted.mean().item()) < 1e-3


def test_draws_keep_to_their_bounds_and_differ_within_a_batch():
    variants = make()
    draw = variants.sample(500, torch.Generator().manual_seed(0))
    assert draw.speed.min() >= 1 / 1.2 and draw.speed.max() <= 1.2
    mixed = draw.share < 1
    assert 0.4 < mixed.float().mean() < 0.6
    assert draw.share[mixed].min() >= 0.35 and draw.share[mixed].max() <= 0.65
    assert len(draw.speed.unique()) > 900
