"""Random transforms: what they do, and that their parameters decide all of it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from melodai.config import AugmentConfig, FrontEndConfig
from melodai.transforms.affine import Affine, AffineParameters
from melodai.transforms.augment import Augment, AugmentDraw
from melodai.transforms.brightness import Brightness, BrightnessParameters
from melodai.transforms.gain import Gain, GainParameters
from melodai.transforms.masks import MaskParameters, Masks
from melodai.transforms.mel import LogMel
from melodai.transforms.mixup import Mixup, MixupParameters
from melodai.transforms.noise import (
    LOOP_SAMPLES,
    SPECTRAL_SLOPES,
    Noise,
    NoiseParameters,
    noise_loops,
)

EVERYTHING = AugmentConfig(
    noise_probability=0.5, lowpass_probability=0.5, rotation_degrees=5.0, horizontal_shift=0.1,
    vertical_shift=0.1, zoom=0.1, mixup_alpha=0.4,
)  # fmt: skip
NOTHING = AugmentConfig(
    pitch_semitones=0.0, tempo=0.0, gain_db=0.0, noise_probability=0.0, lowpass_probability=0.0,
    equalizer_db=0.0, time_masks=0, frequency_masks=0, horizontal_shift=0.0, brightness=0.0,
)  # fmt: skip
FRONT_END = FrontEndConfig(image_size=64, n_mels=32)

IMAGE = {
    "affine": Affine(rotation_degrees=10, horizontal_shift=0.2, vertical_shift=0.1, zoom=0.2),
    "brightness": Brightness(0.2),
    "time masks": Masks(dim=-1, num_masks=2, max_share=0.3),
    "frequency masks": Masks(dim=-2, num_masks=2, max_share=0.3),
}
WAVEFORM = {
    "gain": Gain(6.0),
    "noise": Noise(probability=1.0, min_snr_db=10.0, max_snr_db=30.0),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(batch: int = 4, size: int = 64) -> Tensor:
    return torch.rand(batch, 1, size, size, generator=generator()) * 1.8 - 0.9


def sounds(batch: int = 4, time: int = 20_000) -> tuple[Tensor, Tensor]:
    """Noise with fades, in [-1, 1], of different lengths."""
    waveform = 0.1 * torch.randn(batch, time, generator=generator())
    num_samples = torch.arange(batch) * 1000 + time - 1000 * (batch - 1)
    return waveform * (torch.arange(time) < num_samples[:, None]), num_samples


def apply(transform, parameters) -> Tensor:
    if isinstance(transform, Gain | Noise):
        return transform.apply(*sounds(), parameters)
    return transform.apply(pictures(), parameters)


def rows(parameters, row: slice):
    return type(parameters)(*(values[row] for values in parameters))


ALL = pytest.mark.parametrize("transform", [*IMAGE.values(), *WAVEFORM.values()],
                              ids=[*IMAGE, *WAVEFORM])  # fmt: skip


# -- of every transform ---------------------------------------------------------------------------


@ALL
def test_parameters_are_host_tensors_with_an_entry_an_example_that_differ(transform):
    parameters = transform.sample(4, generator())
    assert parameters.active.dtype == torch.bool
    for values in parameters:
        assert values.device.type == "cpu" and len(values) == 4
    flat = torch.cat([values.reshape(4, -1).double() for values in parameters], dim=1)
    assert len(flat.unique(dim=0)) == 4


@ALL
def test_the_seed_decides_the_parameters(transform):
    first, again, other = (transform.sample(4, generator(seed)) for seed in (1, 1, 2))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@ALL
def test_the_parameters_decide_the_output(transform):
    parameters = transform.sample(4, generator())
    assert torch.equal(apply(transform, parameters), apply(transform, parameters))


@ALL
def test_it_changes_active_examples_and_no_others(transform):
    parameters = transform.sample(4, generator())
    before = sounds()[0] if isinstance(transform, Gain | Noise) else pictures()
    active = torch.tensor([True, False, True, False])
    after = apply(transform, parameters._replace(active=active))
    for i in range(4):
        assert torch.equal(after[i], before[i]) != active[i]


@ALL
def test_it_does_not_write_into_what_it_is_given(transform):
    parameters = transform.sample(4, generator())
    x = sounds() if isinstance(transform, Gain | Noise) else (pictures(),)
    before = x[0].clone()
    transform.apply(*x, parameters)
    assert torch.equal(x[0], before)


@ALL
def test_every_example_is_independent_of_its_batch(transform):
    parameters = transform.sample(4, generator())
    x = sounds() if isinstance(transform, Gain | Noise) else (pictures(),)
    together = transform.apply(*x, parameters)
    for i in range(4):
        row = slice(i, i + 1)
        alone = transform.apply(*(values[row] for values in x), rows(parameters, row))
        torch.testing.assert_close(alone, together[row], atol=1e-6, rtol=0)


@pytest.mark.parametrize("transform", WAVEFORM.values(), ids=WAVEFORM)
def test_sounds_are_changed_alike_one_by_one_and_together(transform):
    parameters = transform.sample(4, generator())
    together = transform.change(*sounds(), parameters)
    is_inside = torch.arange(20_000) < sounds()[1][:, None]
    torch.testing.assert_close(
        apply(transform, parameters)[is_inside], together[is_inside], atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("transform", WAVEFORM.values(), ids=WAVEFORM)
def test_sounds_stay_silent_beyond_their_ends(transform):
    changed = apply(transform, transform.sample(4, generator()))
    beyond = torch.arange(20_000) >= sounds()[1][:, None]
    assert (changed[beyond] == 0).all()


# -- sound ----------------------------------------------------------------------------------------


def test_a_gain_multiplies_and_clips_at_full_scale():
    waveform = torch.tensor([[0.1, -0.2, 0.6, -0.7]])
    parameters = GainParameters(torch.tensor([True]), torch.tensor([2.0]))
    louder = Gain(6.0).apply(waveform, torch.tensor([4]), parameters)
    assert torch.equal(louder, torch.tensor([[0.2, -0.4, 1.0, -1.0]]))
    drawn_db = 20 * Gain(6.0).sample(2000, generator()).gain.log10()
    assert -6 <= drawn_db.min() < -5.9 and 5.9 < drawn_db.max() <= 6.001


@pytest.mark.parametrize("colour", range(len(SPECTRAL_SLOPES)))
@pytest.mark.parametrize("snr_db", [5.0, 30.0])
def test_noise_has_the_level_it_should(colour, snr_db):
    waveform, num_samples = sounds(2, 400_000)
    parameters = NoiseParameters(
        torch.tensor([True, True]), torch.tensor([snr_db, snr_db]), torch.tensor([colour, colour]),
        torch.tensor([7, 500_000]), torch.tensor([1.0, -1.0]),
    )  # fmt: skip
    noise = WAVEFORM["noise"].apply(waveform, num_samples, parameters) - waveform
    for i in range(2):
        end = num_samples[i]
        ratio = waveform[i, :end].square().mean() / noise[i, :end].square().mean()
        # A piece of brown noise is louder or softer than the whole.
        assert 10 * math.log10(ratio) == pytest.approx(snr_db, abs=0.2 if colour < 2 else 3)


def test_noise_has_its_colours():
    noise = noise_loops(torch.device("cpu"))[:, :LOOP_SAMPLES].double()
    assert (noise.square().mean(1) - 1).abs().max() < 1e-3
    power = torch.fft.rfft(noise).abs().square()
    octaves = [power[:, 1 << k : 2 << k].mean(1) for k in range(11, 17)]
    falls_db = 10 * (octaves[0] / octaves[-1]).log10() / 5
    torch.testing.assert_close(
        falls_db, 3.01 * torch.tensor(SPECTRAL_SLOPES).double(), atol=0.2, rtol=0
    )


def test_the_noise_of_a_song_longer_than_the_loop_goes_on():
    waveform = torch.ones(1, 1_300_000)
    parameters = WAVEFORM["noise"].sample(1, generator())
    noise = WAVEFORM["noise"].apply(waveform, torch.tensor([1_300_000]), parameters) - waveform
    assert (noise.unfold(1, 1000, 1000).abs().amax(2) > 0).all()


# -- pictures -------------------------------------------------------------------------------------


def moved(**values: float) -> AffineParameters:
    still = {"rotation": 0.0, "shift_time": 0.0, "shift_frequency": 0.0, "zoom": 1.0} | values
    return AffineParameters(
        torch.tensor([True]), **{key: torch.tensor([value]) for key, value in still.items()}
    )


def dot(row: int, column: int) -> Tensor:
    picture = torch.zeros(1, 1, 64, 64)
    picture[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1
    return picture


def place(picture: Tensor) -> tuple[float, float]:
    """Row and column of the centre of gravity."""
    values, index = picture[0, 0], torch.arange(64.0)
    return (
        ((values.sum(1) * index).sum() / values.sum()).item(),
        ((values.sum(0) * index).sum() / values.sum()).item(),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (20, 40)),
        ({"shift_time": 8 / 64}, (20, 48)),
        ({"shift_frequency": -10 / 64}, (10, 40)),
        ({"rotation": math.pi / 2}, (40, 43)),  # counter-clockwise, row 0 at the bottom
        ({"zoom": 2.0}, (31.5 - 2 * 11.5, 31.5 + 2 * 8.5)),
        ({"zoom": 0.5, "shift_time": 0.25}, (31.5 - 11.5 / 2, 31.5 + 8.5 / 2 + 16)),
    ],
)
def test_a_dot_moves_to_where_it_should(change, expected):
    changed = IMAGE["affine"].apply(dot(20, 40), moved(**change))
    assert place(changed) == pytest.approx(expected, abs=0.1)


def test_an_affine_change_by_nothing_is_the_identity():
    x = pictures(1)
    torch.testing.assert_close(IMAGE["affine"].apply(x, moved()), x, atol=1e-5, rtol=0)


def test_a_shifted_picture_repeats_its_border():
    x = torch.arange(64.0).expand(1, 1, 64, 64)
    changed = IMAGE["affine"].apply(x, moved(shift_time=0.25))
    torch.testing.assert_close(changed[0, 0, 0, :16], torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(changed[0, 0, 0, 16:], torch.arange(48.0), atol=1e-4, rtol=0)


def test_brightness_scales_what_is_above_the_floor():
    x = torch.tensor([-1.0, 0.0, 0.5, 0.9]).view(1, 1, 2, 2)
    parameters = BrightnessParameters(torch.tensor([True]), torch.tensor([0.1]))
    changed = Brightness(0.1).apply(x, parameters)
    torch.testing.assert_close(changed.flatten(), torch.tensor([-1.0, 0.1, 0.65, 1.0]))


@pytest.mark.parametrize("dim", [-1, -2])
def test_masks_hide_the_stripes_they_should_behind_the_mean(dim):
    x = pictures(1)
    parameters = MaskParameters(
        torch.tensor([True]), torch.tensor([[0.25, 0.75]]), torch.tensor([[0.125, 0.0]])
    )
    changed = Masks(dim=dim, num_masks=2, max_share=0.2).apply(x, parameters)
    hidden = changed.narrow(dim, 16, 8)
    torch.testing.assert_close(hidden, x.mean().expand_as(hidden))
    for start, length in ((0, 16), (24, 40)):
        assert torch.equal(changed.narrow(dim, start, length), x.narrow(dim, start, length))


def test_masks_are_no_wider_than_allowed_and_stay_inside():
    parameters = Masks(dim=-1, num_masks=3, max_share=0.2).sample(1000, generator())
    assert parameters.width.max() <= 0.2 and parameters.width.max() > 0.19
    assert parameters.start.min() >= 0 and (parameters.start + parameters.width).max() <= 1


# -- mixtures -------------------------------------------------------------------------------------


def test_mixup_mixes_neighbours_and_their_targets_in_the_same_shares():
    x, targets = pictures(5), torch.eye(3)[[0, 1, 2, 0, 1]]
    share = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    parameters = MixupParameters(torch.tensor([True, True, True, False, True]), share)
    mixed, soft = Mixup(0.4).apply(x, targets, parameters)
    torch.testing.assert_close(mixed[0], 0.9 * x[0] + 0.1 * x[1])
    torch.testing.assert_close(mixed[1], 0.8 * x[1] + 0.2 * x[0])
    torch.testing.assert_close(soft[0], torch.tensor([0.9, 0.1, 0.0]))
    torch.testing.assert_close(soft[2], torch.tensor([0.3, 0.0, 0.7]))
    assert torch.equal(mixed[3], x[3]) and torch.equal(mixed[4], x[4])
    torch.testing.assert_close(soft.sum(1), torch.ones(5))


def test_mixup_draws_from_the_beta_distribution_and_keeps_at_least_half():
    share = Mixup(0.4).sample(20_000, generator()).share
    assert share.min() >= 0.5 and share.max() <= 1
    # Of max(b, 1 - b), b of Beta(a, a): the second moment about 1/2 is that of b, 1 / (4 (2a + 1)).
    assert ((share - 0.5).square().mean()).item() == pytest.approx(1 / (4 * 1.8), rel=0.02)


# -- all together ---------------------------------------------------------------------------------


def everything(x: Tensor, num_samples: Tensor, augment: Augment, draw: AugmentDraw | None) -> tuple:
    frontend = LogMel(n_mels=32, image_size=64)
    if draw is None:
        return frontend(x, num_samples), torch.eye(len(x))
    waveform = augment.waveform(x, num_samples, draw)
    image = augment.image(frontend(waveform, num_samples, draw), draw)
    return augment.mixup(image, torch.eye(len(x)), draw)


def test_the_same_draw_gives_the_same_pictures_and_another_draw_others():
    augment = Augment.from_config(EVERYTHING, FRONT_END)
    first, again, other = (
        everything(*sounds(), augment, augment.draw(4, generator(seed)))[0] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.05


@pytest.mark.parametrize("settings", [NOTHING, dataclasses.replace(EVERYTHING, augment=False)])
def test_with_all_switched_off_it_is_the_identity_of_evaluation(settings):
    augment = Augment.from_config(settings, FRONT_END)
    draw = augment.draw(4, generator())
    assert (draw.tempo == 1).all()
    plain, targets = everything(*sounds(), augment, None)
    pictures, mixed_targets = everything(*sounds(), augment, draw)
    assert torch.equal(pictures, plain) and torch.equal(mixed_targets, targets)


@pytest.mark.parametrize(
    "setting",
    [
        {"pitch_semitones": 2.0},
        {"gain_db": 40.0},  # seen by its clipping
        {"noise_probability": 1.0},
        {"lowpass_probability": 1.0},
        {"equalizer_db": 6.0},
        {"time_masks": 2},
        {"frequency_masks": 2},
        {"rotation_degrees": 5.0},
        {"horizontal_shift": 0.1},
        {"vertical_shift": 0.1},
        {"zoom": 0.1},
        {"brightness": 0.1},
        {"mixup_alpha": 0.4},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_each_setting_alone_changes_the_pictures(setting):
    augment = Augment.from_config(dataclasses.replace(NOTHING, **setting), FRONT_END)
    plain = everything(*sounds(), augment, None)[0]
    changed = everything(*sounds(), augment, augment.draw(4, generator()))[0]
    assert (changed - plain).abs().max() > 1e-2


def test_tempo_alone_is_drawn_for_the_loader():
    augment = Augment.from_config(dataclasses.replace(NOTHING, tempo=0.1), FRONT_END)
    tempo = augment.draw(100, generator()).tempo
    assert tempo.shape == (100,) and 0.9 <= tempo.min() < 0.92 and 1.08 < tempo.max() <= 1.1


def test_rows_of_a_draw_give_the_rows_of_the_batch():
    augment = Augment.from_config(EVERYTHING, FRONT_END)
    draw = augment.draw(4, generator())
    x, num_samples = sounds()
    whole, targets = everything(x, num_samples, augment, draw)
    for first in (0, 2):  # pairs, as mixup makes them
        part = slice(first, first + 2)
        pictures, part_targets = everything(x[part], num_samples[part], augment, draw.rows(part))
        torch.testing.assert_close(pictures, whole[part], atol=1e-5, rtol=0)
        torch.testing.assert_close(part_targets, targets[part][:, part])


def test_a_draw_is_all_tensors_of_the_batch_and_moves_to_a_device():
    augment = Augment.from_config(EVERYTHING, FRONT_END)
    leaves: list[Tensor] = []

    def collect(record) -> None:
        if isinstance(record, Tensor):
            leaves.append(record)
        else:
            for part in record:
                collect(part)

    collect(augment.draw(6, generator()))
    assert len(leaves) > 20 and all(len(leaf) == 6 for leaf in leaves)
    leaves.clear()
    collect(augment.draw(6, generator()).to("meta"))
    assert all(leaf.device.type == "meta" for leaf in leaves)


def test_drawing_does_not_touch_the_common_generator():
    before = torch.get_rng_state()
    random = np.random.get_state()[1].copy()
    Augment.from_config(EVERYTHING, FRONT_END).draw(4, generator())
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], random)
