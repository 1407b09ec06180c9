"""What every pretrained backbone is: a front end, a network, and the sizes of its layers."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from melodai.config import TAG_LAYER
from melodai.errors import SettingError
from melodai.transforms.resample import resample

PATCHES_ON_GPU = 64


class Backbone(nn.Module):
    """Waveforms in; one vector of each asked-for layer, joined, a frame out.

    A subclass sets the attributes below and implements `front_end` and `activations`. Its front end
    cuts the sound into frames (patches, windows), whose length is the network's own business. A
    sound shorter than one frame is repeated from its start, unless the published front end pads it.

    Attributes:
        name: what `--arch` calls it.
        sample_rate: in Hz, of the waveforms that `front_end` takes.
        layer_sizes: numbers of values in each layer that can be asked for.
        default_layers: those that `embed` joins if nobody asks.
        tag_names: the words of the network's own output, in its order; None if it has no such.
        licence, source: of the weights.
        patches_at_once: frames that go through the network together on a CPU: the most that stay in
            its caches, measured. On a GPU `PATCHES_ON_GPU`.
        mel_axis: of a patch, -1 or -2; None if patches are not spectrograms.
        weights_note: what must be said with any result of these weights, "" if nothing.

    Args:
        layers: names from `layer_sizes`; None for the default.

    Raises:
        SettingError: a layer that the network does not have.
    """

    name: str
    sample_rate: int
    layer_sizes: dict[str, int]
    default_layers: tuple[str, ...]
    tag_names: tuple[str, ...] | None = None
    licence: str
    source: str
    patches_at_once: int = 32
    mel_axis: int | None = -1
    weights_note: str = ""

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.layers = tuple(layers) if layers else self.default_layers
        unknown = [
            layer for layer in self.layers if layer not in self.layer_sizes and layer != TAG_LAYER
        ]
        if unknown:
            raise SettingError(
                f"{self.name} has no layer {', '.join(unknown)}; "
                f"choose from {', '.join(self.layer_sizes)}"
            )

    @property
    def embedding_size(self) -> int:
        """Values of one frame of `embed`."""
        sizes = {**self.layer_sizes, TAG_LAYER: len(self.tag_names or ())}
        return sum(sizes[layer] for layer in self.layers)

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` float32 in [-1, 1] at `sample_rate` -> `(batch, frame, ...)`."""
        raise NotImplementedError(f"{type(self).__name__} has no front_end()")

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        """`(patch, ...)` -> each layer's `(patch, size)`; "tags" `(patch, tag)` too, if any."""
        raise NotImplementedError(f"{type(self).__name__} has no activations()")

    def patches(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """Front end of a waveform of any rate: `(batch, time)` -> `(batch, frame, ...)`."""
        with torch.autocast(waveform.device.type, enabled=False):
            return self.front_end(resample(waveform.float(), sample_rate, self.sample_rate))

    def embed(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """The chosen layers, joined: `(batch, time)` -> `(batch, frame, embedding_size)`.

        Raises:
            SettingError: the waveform is empty.
        """

        def joined(part: Tensor) -> Tensor:
            found = self.activations(part)
            return torch.cat([found[layer] for layer in self.layers], dim=-1)

        return self._each_patch(joined, self.patches(waveform, sample_rate))

    def tags(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """The network's own tags, in [0, 1]: `(batch, time)` -> `(batch, frame, tag)`.

        Raises:
            SettingError: the network has no tags of its own.
        """
        if self.tag_names is None:
            raise SettingError(f"{self.name} has no tags of its own")
        patches = self.patches(waveform, sample_rate)
        return self._each_patch(lambda part: self.activations(part)["tags"], patches)

    def pieces(self, patches: Tensor) -> tuple[Tensor, ...]:
        """As many patches as go through the network together: `(patch, ...)` each."""
        is_cpu = patches.device.type == "cpu"
        return patches.split(self.patches_at_once if is_cpu else PATCHES_ON_GPU)

    def num_parameters(self) -> int:
        """Trainable and frozen weights, without the statistics of batch norm."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _each_patch(self, compute, patches: Tensor) -> Tensor:
        batch, frames = patches.shape[:2]
        parts = self.pieces(patches.flatten(0, 1))
        return torch.cat([compute(part) for part in parts]).unflatten(0, (batch, frames))


def at_least(waveform: Tensor, num_samples: int) -> Tensor:
    """Repeats a waveform that is too short from its start, `(batch, >= num_samples)`."""
    time = waveform.shape[1]
    if time >= num_samples:
        return waveform
    return waveform.repeat(1, -(-num_samples // time))[:, :num_samples]


def windows(waveform: Tensor, num_samples: int) -> Tensor:
    """As few evenly spaced windows as cover the waveform.

    Shape: `(batch, time)` -> `(batch, window, num_samples)`.
    """
    waveform = at_least(waveform, num_samples)
    spare = waveform.shape[1] - num_samples
    count = 1 + (spare + num_samples - 1) // num_samples
    # In tensors, not in a loop: an exported graph holds for any number of windows.
    place = torch.arange(count, dtype=torch.float64)
    starts = (place * spare / torch.sym_max(1, count - 1)).round().long().to(waveform.device)
    return waveform[:, starts[:, None] + torch.arange(num_samples, device=waveform.device)]


def power_spectrum(
    waveform: Tensor, window: Tensor, n_fft: int, hop_length: int, pad: str | None = None
) -> Tensor:
    """Squared magnitudes of windowed frames, zeros after the window up to `n_fft`.

    Args:
        pad: "constant" or "reflect" pads `n_fft // 2` samples on both sides, so that frames are
            centred; None starts at the first sample and keeps whole frames only.

    Shape: `(..., time)` -> `(..., frame, n_fft // 2 + 1)`.
    """
    if pad is not None:
        flat = waveform.reshape(-1, 1, waveform.shape[-1])
        flat = F.pad(flat, (n_fft // 2, n_fft // 2), mode=pad)
        waveform = flat.reshape(*waveform.shape[:-1], flat.shape[-1])
    spectrum = torch.fft.rfft(waveform.unfold(-1, len(window), hop_length) * window, n=n_fft)
    return spectrum.real.square() + spectrum.imag.square()
