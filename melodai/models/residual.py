"""The study's residual CNN."""

from torch import nn

from melodai.config import FrontEndConfig
from melodai.models.base import MoodModel, OwnEncoder, log_mel_frontend
from melodai.models.blocks import (
    ConvBlock,
    Embedding,
    ResidualBlock,
    initialise,
    start_from_even_odds,
)
from melodai.models.registry import register_model

DENSE_DROPOUT = 0.5


class ResidualCNN(OwnEncoder):
    """Stem 7x7 / 2 of 64 and max-pool, then two residual blocks each of 64, 128 and 256 channels.

    Shape: `(batch, 1, height, width)` -> `(batch, class)`; 32 pixels or more a side.
    """

    channels = 256
    embedding_size = Embedding.size

    def __init__(self, num_classes: int, dropout: float = DENSE_DROPOUT) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(1, 64, 7, stride=2), nn.MaxPool2d(3, 2, 1))
        self.groups = nn.Sequential(
            ResidualBlock(64, 64), ResidualBlock(64, 64),
            ResidualBlock(64, 128, stride=2), ResidualBlock(128, 128),
            ResidualBlock(128, 256, stride=2), ResidualBlock(256, 256),
        )  # fmt: skip
        self.embedding = Embedding(self.channels, dropout)
        self.classifier = nn.Linear(Embedding.size, num_classes)
        initialise(self)
        start_from_even_odds(self.classifier)

    @property
    def map_parts(self) -> tuple[nn.Sequential, ...]:
        return (self.stem, self.groups)


@register_model("residual", summary="residual CNN of the study, 64-128-256")
def build_residual(
    *, moods: tuple[str, ...], frontend: FrontEndConfig, dropout: float | None
) -> MoodModel:
    """The residual CNN on melodai's log-mel."""
    return MoodModel(
        frontend=log_mel_frontend(frontend),
        encoder=ResidualCNN(len(moods), DENSE_DROPOUT if dropout is None else dropout),
        moods=moods,
        sample_rate=frontend.sample_rate,
    )
