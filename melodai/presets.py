"""Named sets of settings. Options given on the command line are laid over the preset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from melodai.config import PRETRAINED, RANDOM, Config
from melodai.errors import SettingError

AUTO = "auto"  # one of melodai's own networks
OWN = (AUTO, "residual", "advanced")

# The recipe of melodai's own networks. Windows of 3 seconds at the spectrogram's own resolution
# keep the rhythm; several of each song are taken an epoch, and the answers of all its windows are
# averaged. Pretrained feature maps stay as they are: moving them by a few hundred songs lost.
RECIPE = {
    "pooling": "mean-max", "segment_seconds": 3.0, "image_size": 128, "segments_per_track": 4,
    "segments_per_epoch": 256, "batch_size": 32, "optimizer": "adamw", "weight_decay": 0.01,
    "schedule": "cosine", "early_stopping": 0, "ema_decay": 0.99, "horizontal_shift": 0.0,
}  # fmt: skip
OF_INIT = {
    PRETRAINED: {"init": PRETRAINED, "epochs": 12, "warmup_epochs": 1, "backbone_rate": 0.0},
    RANDOM: {"init": RANDOM, "epochs": 40, "warmup_epochs": 2},
}


def shipped_weights(arch: str) -> Path | None:
    """The file of pretrained weights that comes with the package; None if there is none."""
    path = Path(__file__).parent / "pretrained" / f"{arch}.safetensors"
    return path if path.is_file() else None


def default(arch: str = AUTO, init: str | None = None) -> Config:
    """What `config.py` says; for melodai's own networks, their recipe.

    Args:
        init: as in `--init`; None for pretrained where the package has weights, else random.
    """
    if arch not in OWN:
        return Config()
    if init is None:
        has_weights = shipped_weights("residual" if arch == AUTO else arch) is not None
        init = PRETRAINED if has_weights else RANDOM
    kind = RANDOM if init == RANDOM else PRETRAINED
    return Config().with_options(**{**RECIPE, **OF_INIT[kind], "init": init})


def demo(arch: str = AUTO, init: str | None = None) -> Config:
    """A first look at the 28 demo clips, a few minutes on two cores."""
    return default(arch, init).with_options(epochs=4)


def without_recipe(config: Config) -> Config:
    """The settings, with those of the recipe that nobody has changed as `config.py` has them."""
    plain, values = _values(Config()), _values(config)
    recipe = {**RECIPE, **OF_INIT[PRETRAINED if values["init"] == PRETRAINED else RANDOM]}
    return config.with_options(
        **{name: plain[name] for name, value in recipe.items() if values[name] == value}
    )


def laid_over(base: Config, config: Config) -> Config:
    """The base, with those settings of `config` that are not as `config.py` has them."""
    plain = _values(Config())
    return base.with_options(**{k: v for k, v in _values(config).items() if v != plain[k]})


def _values(config: Config) -> dict[str, Any]:
    sections = vars(config).values()
    return {name: value for section in sections for name, value in vars(section).items()}


def study(arch: str = AUTO, init: str | None = None) -> Config:
    """The augmentation of the study: its image set, no change of the sound."""
    return Config().with_options(
        pitch_semitones=0.0, tempo=0.0, gain_db=0.0, noise_probability=0.0,
        lowpass_probability=0.0, equalizer_db=0.0, time_masks=0, frequency_masks=0,
        rotation_degrees=5.0, horizontal_shift=0.1, vertical_shift=0.1, zoom=0.1, brightness=0.2,
        batch_size=32,
    )  # fmt: skip


def smoke(arch: str = AUTO, init: str | None = None) -> Config:
    """The shortest run that does everything once, for a look at whether all is in place."""
    return Config().with_options(epochs=1, segment_seconds=5.0, image_size=64, batch_size=4)


PRESETS: dict[str, Callable[[str, str | None], Config]] = {
    "default": default,
    "demo": demo,
    "study": study,
    "smoke": smoke,
}


def preset(name: str, arch: str = AUTO, init: str | None = None) -> Config:
    """The named preset, for a network: some depend on it.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in PRESETS:
        raise SettingError(f"--preset is {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name](arch, init)
