"""A backbone as a model of moods: own front end, layers summed up over time, new classes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.base import Backbone
from baselines.pictures import PictureBackbone
from melodai.models.base import Encoder, MoodModel

# Root mean square of every window before a backbone hears it, 20 dB below full scale. The published
# front ends keep the level, and the answer must not move with it.
LEVEL = 0.1
SILENCE = 1e-6
CLASSIFIER_DROPOUT = 0.2


class BackboneFrontEnd(nn.Module):
    """The published front end, at one level for all.

    Shape: `(batch, time)` -> `(batch, frame, ...)`; where the examples are of different lengths, a
    list of `(frame, ...)`.
    """

    # Pitch and tempo are changed within melodai's own log-mel only.
    moves_pitch = False

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        # A tuple: its weights belong to the encoder.
        self._backbone = (backbone,)

    def forward(
        self, waveform: Tensor, num_samples: Tensor | None = None, draw: Any = None
    ) -> Tensor | list[Tensor]:
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            if num_samples is None or bool((num_samples == waveform.shape[1]).all()):
                return self._features(waveform, getattr(draw, "response", None))
            lengths = num_samples.tolist()
            rows = [waveform[i : i + 1, :length] for i, length in enumerate(lengths)]
            response = getattr(draw, "response", None)
            responses = [None] * len(rows) if response is None else response.split(1)
            return [self._features(*pair)[0] for pair in zip(rows, responses, strict=True)]

    def _features(self, waveform: Tensor, response: Tensor | None) -> Tensor:
        if response is not None:
            waveform = filtered(waveform, response)
        level = waveform.square().mean(1, keepdim=True).sqrt()
        return self._backbone[0].front_end(waveform * (LEVEL / level.clamp_min(SILENCE)))

    def to_pictures(self, features: Tensor) -> Tensor:
        """Frames side by side, for the transforms of pictures: `(batch, 1, mel, frame)` in [-1, 1].

        Only where `has_pictures`.
        """
        x = features if self._backbone[0].mel_axis == -2 else features.mT
        x = x.movedim(-2, 1).flatten(2)[:, None]
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return 2 * (x - low) / (high - low).clamp_min(1e-6) - 1

    def from_pictures(self, pictures: Tensor, features: Tensor) -> Tensor:
        """The way back, at the range of `features`."""
        low, high = features.flatten(1).amin(1), features.flatten(1).amax(1)
        low, high = low[:, None, None, None], high[:, None, None, None]
        x = ((pictures + 1) / 2 * (high - low) + low)[:, 0]
        mel_last = self._backbone[0].mel_axis == -1
        shape = features.mT.shape if mel_last else features.shape
        x = x.unflatten(2, (*shape[1:-2], shape[-1])).movedim(1, -2)
        return x.mT if mel_last else x

    @property
    def has_pictures(self) -> bool:
        """Whether the features are spectrograms."""
        return self._backbone[0].mel_axis is not None


def filtered(waveform: Tensor, response: Tensor) -> Tensor:
    """A waveform through a filter without delay.

    Args:
        waveform: `(batch, time)`.
        response: `(batch, bin)`, factors on the power from 0 Hz to half the sample rate.
    """
    time = waveform.shape[1]
    spectrum = torch.fft.rfft(waveform)
    gain = nn.functional.interpolate(
        response.sqrt()[:, None], spectrum.shape[1], mode="linear", align_corners=True
    )
    return torch.fft.irfft(spectrum * gain[:, 0], n=time)


class BackboneEncoder(Encoder):
    """The backbone's layers, their mean and deviation over time, and new classes.

    Shape: `(batch, frame, ...)` or a list of `(frame, ...)` -> `(batch, class)`.
    """

    def __init__(self, backbone: Backbone, num_classes: int, dropout: float | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.size = backbone.embedding_size
        self.embedding_size = 2 * self.size
        self.classifier = nn.Sequential(
            nn.Dropout(CLASSIFIER_DROPOUT if dropout is None else dropout),
            nn.Linear(self.embedding_size, num_classes),
        )

    def embed(self, features: Tensor | list[Tensor]) -> Tensor:
        """`(batch, 2 * size)`: the means, then the deviations."""
        if isinstance(features, Tensor):
            layers = self._layers(features.flatten(0, 1)).unflatten(0, features.shape[:2])
            return summed_up(layers)
        return torch.cat([summed_up(self._layers(part)[None]) for part in features])

    def _layers(self, patches: Tensor) -> Tensor:
        """`(patch, ...) -> (patch, size)`, a few at a time."""
        if torch.compiler.is_exporting():  # a graph holds for any number of patches: all at once
            return self._joined(patches)
        return torch.cat([self._joined(piece) for piece in self.backbone.pieces(patches)])

    def _joined(self, patches: Tensor) -> Tensor:
        found = self.backbone.activations(patches)
        return torch.cat([found[layer] for layer in self.backbone.layers], dim=-1)

    @property
    def reading(self) -> str:
        return f"{self.backbone.name}: {'+'.join(self.backbone.layers)} at {LEVEL}"

    @property
    def tag_names(self) -> tuple[str, ...] | None:
        """Words of the network's own output."""
        return self.backbone.tag_names

    @property
    def summaries(self) -> tuple[dict[str, Tensor], ...]:
        columns = torch.arange(self.embedding_size)
        return ({"mean": columns[: self.size], "std": columns[self.size :]},)

    def pretrained_parts(self) -> list[nn.Module]:
        """Those children of the network that have weights, in their own order."""
        return [m for m in self.backbone.children() if any(True for _ in m.parameters())]


def summed_up(layers: Tensor) -> Tensor:
    """Mean and deviation over the frames: `(batch, frame, size) -> (batch, 2 * size)`."""
    layers = layers.float()
    # The root of zero has no gradient.
    deviation = (layers.var(1, unbiased=False) + 1e-12).sqrt()
    return torch.cat([layers.mean(1), deviation], dim=1)


class PictureEncoder(Encoder):
    """A pretrained network for pictures and a new linear layer.

    Shape: `(batch, 1, height, width)` -> `(batch, class)`.
    """

    def __init__(self, backbone: PictureBackbone, num_classes: int, dropout: float | None) -> None:
        super().__init__()
        self.network, self.num_channels = backbone.network, backbone.num_channels
        self.scale, self.shift = backbone.scale, backbone.shift
        self.embedding_size = backbone.embedding_size
        self.classifier = nn.Sequential(
            nn.Dropout(CLASSIFIER_DROPOUT if dropout is None else dropout),
            nn.Linear(self.embedding_size, num_classes),
        )

    def embed(self, features: Tensor) -> Tensor:
        x = features * self.scale + self.shift
        return self.network(x.expand(-1, self.num_channels, -1, -1))

    def pretrained_parts(self) -> list[nn.Module]:
        """The network's children with weights; of a long sequence of blocks, each block."""
        parts: list[nn.Module] = []
        for child in self.network.children():
            parts += list(child) if isinstance(child, nn.Sequential) else [child]
        return [part for part in parts if any(True for _ in part.parameters())]


def mood_model(backbone: Backbone, moods: Sequence[str], dropout: float | None) -> MoodModel:
    """The backbone, untrained on moods."""
    if isinstance(backbone, PictureBackbone):
        frontend: nn.Module = backbone.log_mel
        encoder: Encoder = PictureEncoder(backbone, len(moods), dropout)
    else:
        frontend = BackboneFrontEnd(backbone)
        encoder = BackboneEncoder(backbone, len(moods), dropout)
    model = MoodModel(
        frontend=frontend, encoder=encoder, moods=tuple(moods), sample_rate=backbone.sample_rate
    )
    model.note = backbone.weights_note
    return model
