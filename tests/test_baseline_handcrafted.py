"""Features made by hand: what they tell apart, and what they must not."""

import numpy as np
import pytest

from baselines.handcrafted import (
    FEATURES,
    chance,
    majority,
    support_vectors,
    with_probabilities,
)
from melodai.errors import SettingError
from tests.conftest import clicks, noise, sine

KINDS = sorted(FEATURES)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_named_finite_and_repeatable(kind):
    sound = noise(3.0, 0, 22050)
    first, second = FEATURES[kind](sound, 22050), FEATURES[kind](sound, 22050)
    assert len(set(first.names)) == len(first.names) == len(first.values)
    assert first.values.dtype == np.float32
    assert np.isfinite(first.values).all()
    assert np.array_equal(first.values, second.values)


@pytest.mark.parametrize("kind", KINDS)
def test_the_level_of_a_recording_does_not_matter(kind):
    sound = noise(3.0, 0, 22050) + sine(3.0, 220)
    loud, quiet = FEATURES[kind](sound, 22050), FEATURES[kind](sound / 50, 22050)
    np.testing.assert_allclose(loud.values, quiet.values, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_silence_and_a_short_sound_have_features_too(kind):
    for sound in (np.zeros(22050, np.float32), noise(0.01, 0, 22050)):
        assert np.isfinite(FEATURES[kind](sound, 22050).values).all()
    for wrong in (np.zeros(0, np.float32), np.zeros((2, 100), np.float32)):
        with pytest.raises(SettingError):
            FEATURES[kind](wrong, 22050)


def test_a_tone_is_loudest_in_its_own_band():
    def loudest(frequency: float) -> int:
        names, values = FEATURES["log-mel-statistics"](sine(2.0, frequency), 22050)
        means = [v for n, v in zip(names, values, strict=True) if n.startswith("mel_mean_")]
        return int(np.argmax(means))

    assert loudest(300) < loudest(1000) < loudest(4000)


def test_the_tempo_of_clicks_is_found():
    sound = clicks(12.0, np.arange(0, 12, 0.5)) + noise(12.0, 0, 22050, level=1e-4)
    names, values = FEATURES["acoustic-descriptors"](sound, 22050)
    assert 120 * 2 ** values[names.index("tempo_0")] == pytest.approx(120, rel=0.05)


def test_another_sample_rate_changes_little():
    for kind in KINDS:
        low = FEATURES[kind](sine(2.0, 440) + sine(2.0, 1500), 22050).values
        high = FEATURES[kind](sine(2.0, 440, 44100) + sine(2.0, 1500, 44100), 44100).values
        assert np.corrcoef(low, high)[0, 1] > 0.98


def test_the_classifiers_learn_what_can_be_learned():
    sounds = [noise(1.0, seed) for seed in range(8)] + [sine(1.0, 200 + 40 * i) for i in range(8)]
    features = np.stack([FEATURES["log-mel-statistics"](sound, 22050).values for sound in sounds])
    labels = np.repeat([0, 1], 8)
    train, test = slice(0, None, 2), slice(1, None, 2)
    machine = support_vectors().fit(features[train], labels[train])
    assert (machine.predict(features[test]) == labels[test]).all()
    calibrated = with_probabilities(support_vectors()).fit(features[train], labels[train])
    shares = calibrated.predict_proba(features[test])
    assert shares.shape == (8, 2)
    assert (shares.argmax(1) == labels[test]).all()
    for guess in (majority(), chance()):
        assert guess.fit(features, labels).predict(features).shape == (16,)
