"""Any of melodai's own networks on pictures that lie on the disk, in place of songs."""

from melodai.config import FrontEndConfig
from melodai.errors import SettingError
from melodai.models.base import MoodModel
from melodai.models.registry import UNTRAINED, find_architecture, register_model
from melodai.transforms.pixels import Pixels

PREFIX = "pictures:"


@register_model(
    PREFIX,
    summary="that network on a folder of spectrogram pictures, as the study had them",
    details="chosen by itself where --data holds pictures; the front end does nothing",
)
def build_on_pictures(
    *, variant: str, moods: tuple[str, ...], frontend: FrontEndConfig, dropout: float | None
) -> MoodModel:
    """The network of that name; its "sample rate" is the number of pixels in a row.

    Raises:
        SettingError: it is unknown, or made for something else.
    """
    architecture = find_architecture(variant)
    if architecture.kind != UNTRAINED or variant.startswith(PREFIX):
        raise SettingError(
            f"--arch {variant} cannot be trained on a folder of pictures; choose residual or "
            "advanced, or give songs"
        )
    model = architecture.build(moods=moods, frontend=frontend, dropout=dropout)
    return MoodModel(
        frontend=Pixels(frontend.image_size), encoder=model.encoder, moods=moods,
        sample_rate=frontend.image_size,
    )  # fmt: skip
