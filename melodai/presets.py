"""Named sets of settings. Options given on the command line are laid over the preset."""

from collections.abc import Callable

from melodai.config import Config
from melodai.errors import SettingError


def default() -> Config:
    """What `config.py` says."""
    return Config()


def demo() -> Config:
    """A first look at the 28 demo clips: the defaults, cut down to a few minutes on two cores."""
    return Config().with_options(
        epochs=30, segments_per_track=3, segment_seconds=30.0, early_stopping=0, ema_decay=0.95
    )


def study() -> Config:
    """The augmentation of the study: its image set, no change of the sound."""
    return Config().with_options(
        pitch_semitones=0.0, tempo=0.0, gain_db=0.0, noise_probability=0.0,
        lowpass_probability=0.0, equalizer_db=0.0, time_masks=0, frequency_masks=0,
        rotation_degrees=5.0, horizontal_shift=0.1, vertical_shift=0.1, zoom=0.1, brightness=0.2,
        batch_size=32,
    )  # fmt: skip


def smoke() -> Config:
    """The shortest run that does everything once, for a look at whether all is in place."""
    return Config().with_options(epochs=1, segment_seconds=5.0, image_size=64, batch_size=4)


PRESETS: dict[str, Callable[[], Config]] = {
    "default": default,
    "demo": demo,
    "study": study,
    "smoke": smoke,
}


def preset(name: str) -> Config:
    """The named preset.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in PRESETS:
        raise SettingError(f"--preset is {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
