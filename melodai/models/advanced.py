"""The study's "advanced" CNN: a plain stack of convolutions."""

from torch import nn

from melodai.config import FrontEndConfig
from melodai.models.base import MoodModel, OwnEncoder, log_mel_frontend
from melodai.models.blocks import ConvBlock, Embedding, initialise, start_from_even_odds
from melodai.models.registry import register_model

# Dropout after each pooled stage; the dense layers have their own, `--dropout`.
STAGE_DROPOUT = 0.3
DENSE_DROPOUT = 0.5


class AdvancedCNN(OwnEncoder):
    """Stem 7x7 / 2 of 64, then two 3x3 blocks each of 128, 256 and 512 channels.

    Max-pool and dropout close every stage but the last, which is averaged over the picture.

    Shape: `(batch, 1, height, width)` -> `(batch, class)`; 32 pixels or more a side.
    """

    channels = 512
    embedding_size = Embedding.size

    def __init__(self, num_classes: int, dropout: float = DENSE_DROPOUT) -> None:
        super().__init__()
        stage_dropout = min(STAGE_DROPOUT, dropout)
        self.stem = nn.Sequential(
            ConvBlock(1, 64, 7, stride=2), nn.MaxPool2d(2), nn.Dropout(stage_dropout)
        )
        self.stages = nn.Sequential(
            ConvBlock(64, 128), ConvBlock(128, 128), nn.MaxPool2d(2), nn.Dropout(stage_dropout),
            ConvBlock(128, 256), ConvBlock(256, 256), nn.MaxPool2d(2), nn.Dropout(stage_dropout),
            ConvBlock(256, 512), ConvBlock(512, 512),
        )  # fmt: skip
        self.embedding = Embedding(self.channels, dropout)
        self.classifier = nn.Linear(Embedding.size, num_classes)
        initialise(self)
        start_from_even_odds(self.classifier)

    @property
    def map_parts(self) -> tuple[nn.Sequential, ...]:
        return (self.stem, self.stages)


@register_model("advanced", summary="plain CNN of the study, 64-128-256-512")
def build_advanced(
    *, moods: tuple[str, ...], frontend: FrontEndConfig, dropout: float | None
) -> MoodModel:
    """The advanced CNN on melodai's log-mel."""
    return MoodModel(
        frontend=log_mel_frontend(frontend),
        encoder=AdvancedCNN(len(moods), DENSE_DROPOUT if dropout is None else dropout),
        moods=moods,
        sample_rate=frontend.sample_rate,
    )
