"""All augmentation of training, drawn in one place and carried out where each part is cheapest."""

from typing import NamedTuple

import torch
from torch import Tensor

from melodai.config import AugmentConfig, FrontEndConfig
from melodai.environment import to_device
from melodai.transforms.affine import Affine
from melodai.transforms.base import (
    Parameters,
    RandomTransform,
    WaveformTransform,
    apply_in_turn,
    map_tensors,
)
from melodai.transforms.brightness import Brightness
from melodai.transforms.gain import Gain
from melodai.transforms.masks import Masks
from melodai.transforms.mixup import Mixup, MixupParameters
from melodai.transforms.noise import Noise
from melodai.transforms.pitch_tempo import Pitch, Tempo
from melodai.transforms.response import Equalizer, LowPass


class AugmentDraw(NamedTuple):
    """Everything random about a batch. All tensors have the batch as their first axis.

    Attributes:
        tempo: `(batch,)`; the loader takes a window so many times as long. 1 where it is off.
        pitch_ratio: `(batch,)`, for `LogMel`; None where it is off.
        response: `(batch, n_fft // 2 + 1)`, for `LogMel`; None where it is off.
        waveform, image: parameters of the transforms of these stages, in their order.
        mixup: None where it is off.
    """

    tempo: Tensor
    pitch_ratio: Tensor | None = None
    response: Tensor | None = None
    waveform: tuple[Parameters, ...] = ()
    image: tuple[Parameters, ...] = ()
    mixup: MixupParameters | None = None

    def rows(self, rows: slice) -> "AugmentDraw":
        """Those of some examples."""
        return map_tensors(lambda values: values[rows], self)

    def to(self, device: torch.device | str) -> "AugmentDraw":
        """A copy on the device."""
        return map_tensors(lambda values: to_device(values, torch.device(device)), self)


class Augment:
    """Random changes of training examples; in evaluation there is none of it.

    `draw` makes all random choices on the host. The rest are pure functions of the draw: the loader
    looks at `draw.tempo`, `waveform` changes the sound, `LogMel` takes the whole draw, `image`
    changes the pictures, `mixup` mixes them. No part of the model: checkpoints do not contain it.

    A new transform of sound or pictures is a file with its class and a line in `from_config`.

    Args:
        waveform, image: transforms in the order in which they are applied.
        pitch, tempo, mixup: None is off.
        responses: changes of the frequency response; their factors are multiplied.
        frequencies: of the Fourier bins, in Hz.
    """

    def __init__(
        self,
        *,
        frequencies: Tensor,
        pitch: Pitch | None = None,
        tempo: Tempo | None = None,
        responses: tuple[LowPass | Equalizer, ...] = (),
        waveform: tuple[WaveformTransform, ...] = (),
        image: tuple[RandomTransform, ...] = (),
        mixup: Mixup | None = None,
    ) -> None:
        self._frequencies, self._pitch, self._tempo = frequencies, pitch, tempo
        self._responses, self._waveform, self._image = responses, waveform, image
        self._mixup = mixup

    @classmethod
    def from_config(cls, settings: AugmentConfig, frontend: FrontEndConfig) -> "Augment":
        """The transforms that are switched on."""
        num_bins = frontend.n_fft // 2 + 1
        frequencies = torch.arange(num_bins) * (frontend.sample_rate / frontend.n_fft)
        s = settings
        if not s.augment:
            return cls(frequencies=frequencies)
        low_pass = LowPass(
            probability=s.lowpass_probability, min_hz=s.lowpass_min_hz, max_hz=frontend.f_max
        )
        noise = Noise(
            probability=s.noise_probability,
            min_snr_db=s.noise_min_snr_db,
            max_snr_db=s.noise_max_snr_db,
        )
        affine = Affine(
            rotation_degrees=s.rotation_degrees,
            horizontal_shift=s.horizontal_shift,
            vertical_shift=s.vertical_shift,
            zoom=s.zoom,
        )
        moves = s.rotation_degrees or s.horizontal_shift or s.vertical_shift or s.zoom
        times = Masks(dim=-1, num_masks=s.time_masks, max_share=s.time_mask_share)
        bands = Masks(dim=-2, num_masks=s.frequency_masks, max_share=s.frequency_mask_share)
        return cls(
            frequencies=frequencies,
            pitch=Pitch(s.pitch_semitones) if s.pitch_semitones else None,
            tempo=Tempo(s.tempo) if s.tempo else None,
            responses=_used(
                (s.lowpass_probability, low_pass),
                (s.equalizer_db, Equalizer(max_db=s.equalizer_db)),
            ),
            waveform=_used((s.gain_db, Gain(s.gain_db)), (s.noise_probability, noise)),
            image=_used(
                (moves, affine),
                (s.brightness, Brightness(s.brightness)),
                (s.time_masks, times),
                (s.frequency_masks, bands),
            ),
            mixup=Mixup(s.mixup_alpha) if s.mixup_alpha else None,
        )

    def draw(self, batch_size: int, generator: torch.Generator) -> AugmentDraw:
        """Random choices for a batch, on the host."""

        def sample(transform) -> Parameters:
            return transform.sample(batch_size, generator)

        response = None
        for transform in self._responses:
            factor = transform.response(sample(transform), self._frequencies)
            response = factor if response is None else response * factor
        return AugmentDraw(
            tempo=sample(self._tempo) if self._tempo else torch.ones(batch_size),
            pitch_ratio=sample(self._pitch) if self._pitch else None,
            response=response,
            waveform=tuple(map(sample, self._waveform)),
            image=tuple(map(sample, self._image)),
            mixup=sample(self._mixup) if self._mixup else None,
        )

    def waveform(self, x: Tensor, num_samples: Tensor, draw: AugmentDraw) -> Tensor:
        """`(batch, time)`, zero beyond `num_samples (batch,)`, with another level and noise."""
        if not self._waveform:
            return x
        return apply_in_turn(self._waveform, x, num_samples, draw.waveform)

    def image(self, x: Tensor, draw: AugmentDraw) -> Tensor:
        """Pictures `(batch, 1, height, width)`, moved, brightened and masked."""
        for transform, parameters in zip(self._image, draw.image, strict=True):
            x = transform.apply(x, parameters)
        return x

    def mixup(self, x: Tensor, targets: Tensor, draw: AugmentDraw) -> tuple[Tensor, Tensor]:
        """Pictures and their targets `(batch, class)`, mixed in pairs."""
        if self._mixup is None or draw.mixup is None:
            return x, targets
        return self._mixup.apply(x, targets, draw.mixup)


def _used(*transforms: tuple[float, object]) -> tuple:
    return tuple(transform for amount, transform in transforms if amount)
