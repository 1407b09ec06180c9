"""The steps of the study, each a few settings on top of the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from melodai import presets
from melodai.config import Config

STUDY_AUGMENTATION = presets.study().augment
IMAGE_SETTINGS = (
    "pitch_semitones", "tempo", "gain_db", "noise_probability", "lowpass_probability",
    "equalizer_db", "time_masks", "frequency_masks", "rotation_degrees", "horizontal_shift",
    "vertical_shift", "zoom", "brightness",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One row of the table.

    Attributes:
        name: what it adds.
        changes: settings on top of those of the step before.
        is_ours: whether it starts from melodai's defaults instead.
        is_lookup: whether the most similar excerpt answers, and no network (see `lookup`).
    """

    name: str
    changes: Mapping[str, Any]
    is_ours: bool = False
    is_lookup: bool = False


STEPS = (
    Step(
        "five moods, whole songs",
        {
            "moods": "five", "arch": "advanced", "segment_seconds": "full", "augment": False,
            "class_weights": False, "label_smoothing": 0.0,
        },
    ),
    Step("+ segments of 45 s", {"segment_seconds": 45.0}),
    Step(
        "+ augmented pictures",
        {"augment": True, **{name: getattr(STUDY_AUGMENTATION, name) for name in IMAGE_SETTINGS}},
    ),
    Step("+ three moods", {"moods": "three"}),
    Step("+ class weights and smoothing", {"class_weights": True, "label_smoothing": 0.1}),
    Step("+ residual network", {"arch": "residual"}),
    Step("melodai's defaults, residual", {"moods": "three", "arch": "residual"}, is_ours=True),
    Step("no network: the most similar excerpt", {"moods": "three"}, is_ours=True, is_lookup=True),
)  # fmt: skip


def config_of(step: int, common: Mapping[str, Any]) -> Config:
    """Settings of a step: all changes up to it, then those common to all steps."""
    first = next((i for i in range(step, -1, -1) if STEPS[i].is_ours), 0)
    config = Config()
    for change in STEPS[first : step + 1]:
        config = config.with_options(**change.changes)
    return config.with_options(**common)
