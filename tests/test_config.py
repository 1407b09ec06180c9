"""Settings: one place, checked, written and read back."""

import dataclasses
import json
from pathlib import Path

import pytest

from melodai import presets
from melodai.config import Config
from melodai.errors import SettingError


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_survives_a_json_round_trip(name):
    config = presets.preset(name).with_options(data=Path("music"), segment_seconds="full")
    assert Config.from_json(config.to_json()) == config
    json.loads(config.to_json())


def test_the_default_preset_is_the_recipe_of_own_networks_and_plain_for_others():
    assert presets.default("musicnn-msd") == Config()
    assert presets.default("residual").model.pooling == "mean-max"
    assert presets.without_recipe(presets.default("residual")) == Config()


def test_settings_laid_over_a_preset_win():
    config = presets.laid_over(presets.default(), Config().with_options(epochs=3, dropout=0.1))
    assert config == presets.default().with_options(epochs=3, dropout=0.1)


def test_no_name_stands_in_two_sections():
    names = [f.name for s in dataclasses.fields(Config()) for f in dataclasses.fields(s.default)]
    assert len(names) == len(set(names))


def test_every_setting_has_help_that_is_a_sentence():
    for section in dataclasses.fields(Config()):
        for field in dataclasses.fields(section.default):
            assert field.metadata["help"].rstrip("]").strip(), field.name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"moods": "seven"}, "choose one of auto, three, five"),
        ({"moods": "sad, calm, SAD"}, "names a mood twice"),
        ({"epochs": 0}, "--epochs is 0; it may be at least 1"),
        ({"label_smoothing": 2.0}, "from 0.0 to 0.9"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"epoch": 3}, "unknown setting epoch"),
        ({"segment_seconds": 1.0}, "at least 3"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed(options, words):
    with pytest.raises(SettingError, match=words):
        Config().with_options(**options)


def test_settings_that_are_no_settings_are_refused():
    for text in ("", "[]", '{"data": {}}', '{"data": 3}'):
        with pytest.raises(SettingError):
            Config.from_json(text)
