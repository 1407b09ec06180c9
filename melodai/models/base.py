"""What every model is: a front end, an encoder, the moods it tells apart."""

from typing import Any

import torch
from torch import Tensor, nn

from melodai.config import FrontEndConfig
from melodai.errors import SettingError
from melodai.models.blocks import MeanMaxPool, initialise, start_from_even_odds
from melodai.transforms.mel import LogMel

POOLED_DROPOUT = 0.3  # before the classes, where nothing else follows the feature maps


class Encoder(nn.Module):
    """A network from pictures (or whatever its front end makes) to logits, by way of an embedding.

    A subclass sets `embedding_size`, `self.classifier` and implements `embed`.
    """

    embedding_size: int
    classifier: nn.Module

    def embed(self, features: Any) -> Tensor:
        """`(batch, 1, height, width) -> (batch, embedding_size)`."""
        raise NotImplementedError(f"{type(self).__name__} has no embed()")

    def forward(self, features: Any) -> Tensor:
        """`(batch, 1, height, width) -> (batch, class)` logits."""
        return self.classifier(self.embed(features))

    def pool(self, pooling: str, num_classes: int, dropout: float | None) -> None:
        """Replaces what follows the last feature map: see `--pooling`.

        Raises:
            SettingError: the network has one way of pooling only.
        """
        raise SettingError(f"--pooling {pooling} is for melodai's own networks")

    @property
    def reading(self) -> str:
        """What is read off the network, besides what its weights say: names of layers, say."""
        return type(self).__name__

    @property
    def summaries(self) -> tuple[dict[str, Tensor], ...]:
        """Columns of the embedding by what they are, "mean" and "std" over time, say.

        One table for each network that the embedding is joined from.
        """
        return ({"embedding": torch.arange(self.embedding_size)},)

    def pretrained_parts(self) -> list[nn.Module]:
        """The pretrained parts from the first to the last, for fine-tuning; empty if untrained."""
        return []


class MoodModel(nn.Module):
    """Waveforms in, one logit a mood out. The front end travels with the weights.

    Shape: `(batch, time)` float32 in [-1, 1] at `sample_rate` Hz -> `(batch, class)`.

    Attributes:
        frontend: `(batch, time), num_samples -> (batch, 1, height, width)`; has no weights.
        encoder: `(batch, 1, height, width) -> (batch, class)`.
        moods: the class names, in the order of the logits.
        sample_rate: in Hz.
        note: what must be said with any result of these weights, "" if nothing.
    """

    note = ""

    def __init__(
        self, *, frontend: nn.Module, encoder: Encoder, moods: tuple[str, ...], sample_rate: int
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.encoder = encoder
        self.moods = moods
        self.sample_rate = sample_rate

    def forward(self, waveform: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Logits; `num_samples (batch,)` says how long each example is, if some are padded."""
        return self.encoder(self.frontend(waveform, num_samples))

    def embed(self, waveform: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """`(batch, time) -> (batch, embedding_size)`, the features before the last layer."""
        return self.encoder.embed(self.frontend(waveform, num_samples))

    def num_parameters(self) -> int:
        """Trainable and frozen weights, without the statistics of batch norm."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def members(self) -> "tuple[MoodModel, ...]":
        """The models whose embeddings are joined; itself alone if none are."""
        return (self,)


class OwnEncoder(Encoder):
    """melodai's own networks: feature maps, pooled, then a linear layer.

    A subclass sets `channels` and implements `map_parts`.

    Attributes:
        channels: of the last feature map.
        is_pretrained: whether the feature maps have learned from music already.
        embedding: from the last feature map to the embedding.
    """

    channels: int
    is_pretrained = False
    embedding: nn.Module

    @property
    def map_parts(self) -> tuple[nn.Sequential, ...]:
        """What the feature maps are computed by, in turn."""
        raise NotImplementedError(f"{type(self).__name__} has no map_parts")

    def maps(self, features: Tensor) -> Tensor:
        """`(batch, 1, height, width) -> (batch, channels, height / 16, width / 16)`."""
        for part in self.map_parts:
            features = part(features)
        return features

    def embed(self, features: Tensor) -> Tensor:
        return self.embedding(self.maps(features))

    def pool(self, pooling: str, num_classes: int, dropout: float | None) -> None:
        if pooling == "dense":
            return
        self.embedding = MeanMaxPool(self.channels)
        self.embedding_size = self.embedding.size
        last = nn.Linear(self.embedding_size, num_classes)
        initialise(last)
        start_from_even_odds(last)
        # Means and maxima of different channels differ in size: each to mean 0, deviation 1.
        self.classifier = nn.Sequential(
            nn.BatchNorm1d(self.embedding_size, affine=False),
            nn.Dropout(POOLED_DROPOUT if dropout is None else dropout),
            last,
        )

    def pretrained_parts(self) -> list[nn.Module]:
        """Its blocks of feature maps, where they are pretrained."""
        if not self.is_pretrained:
            return []
        return [block for part in self.map_parts for block in part]


def log_mel_frontend(settings: FrontEndConfig) -> LogMel:
    """melodai's own front end with these settings."""
    return LogMel(
        sample_rate=settings.sample_rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
        f_min=settings.f_min,
        f_max=settings.f_max,
        image_size=settings.image_size,
    )
