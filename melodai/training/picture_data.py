"""What a run's settings become where its data are pictures and not songs."""

from melodai.config import Config
from melodai.data.picture_folders import holds_pictures
from melodai.data.tracks import listing
from melodai.models.pictures import PREFIX
from melodai.models.registry import AUTO
from melodai.presets import without_recipe

# What changes the sound before there is a picture, and what it is called.
_OF_SOUND = {
    "pitch_semitones": "pitch", "tempo": "tempo", "gain_db": "gain", "noise_probability": "noise",
    "lowpass_probability": "low-pass", "equalizer_db": "equaliser",
}  # fmt: skip


def for_data(config: Config) -> tuple[Config, str]:
    """The settings as they are for songs; for a folder of pictures, those that apply to it.

    Returns:
        The settings, and a sentence about what was switched off, "" if nothing was.
    """
    folders = [data for data in config.data.data if data.expanduser().is_dir()]
    pictures = [folder for folder in folders if holds_pictures(folder.expanduser())]
    if not pictures:
        return config, ""
    arch = config.model.arch
    if not arch.startswith(PREFIX):
        # The number of pictures says little about how many songs there are: no choice by it.
        arch = PREFIX + ("residual" if arch == AUTO else arch)
    switched_off = [
        name
        for field, name in _OF_SOUND.items()
        if config.augment.augment and getattr(config.augment, field)
    ]
    words = ""
    if switched_off:
        words = (
            f"{listing(pictures)} holds pictures: changes of the sound "
            f"({', '.join(switched_off)}) do not apply and are switched off"
        )
    off = dict.fromkeys(_OF_SOUND, 0.0)
    return without_recipe(config).with_options(arch=arch, segment_seconds="full", **off), words
