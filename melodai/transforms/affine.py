"""The image set of the study: rotation, shifts and zoom, in one sampling."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from melodai.transforms.base import RandomTransform, per_example, uniform


class AffineParameters(NamedTuple):
    """Of each example, `(batch,)`.

    Attributes:
        rotation: in radians, positive turns the picture counter-clockwise, seen low band down.
        shift_time, shift_frequency: share of the picture that its content moves to later, higher.
        zoom: size of the content in relation to what it was.
    """

    active: Tensor
    rotation: Tensor
    shift_time: Tensor
    shift_frequency: Tensor
    zoom: Tensor


class Affine(RandomTransform):
    """Turns, moves and zooms pictures; what comes in from outside repeats the border.

    Args:
        rotation_degrees: largest turn to either side.
        horizontal_shift, vertical_shift: largest shift as a share of the picture.
        zoom: largest change of size as a share.
    """

    def __init__(
        self,
        *,
        rotation_degrees: float = 0.0,
        horizontal_shift: float = 0.0,
        vertical_shift: float = 0.0,
        zoom: float = 0.0,
    ) -> None:
        self.rotation = math.radians(rotation_degrees)
        self.horizontal_shift, self.vertical_shift, self.zoom = (
            horizontal_shift,
            vertical_shift,
            zoom,
        )

    def sample(self, batch_size: int, generator: torch.Generator) -> AffineParameters:
        def draw(bound: float) -> Tensor:
            return uniform(-bound, bound, batch_size, generator)

        ranges = (self.rotation, self.horizontal_shift, self.vertical_shift, self.zoom)
        return AffineParameters(
            torch.full((batch_size,), any(ranges)),
            draw(self.rotation),
            draw(self.horizontal_shift),
            draw(self.vertical_shift),
            1 + draw(self.zoom),
        )

    def change(self, x: Tensor, parameters: AffineParameters) -> Tensor:
        cosine, sine = parameters.rotation.cos(), parameters.rotation.sin()
        # Where each point of the result comes from: x = R(-rotation) (y - shift) / zoom, in
        # coordinates from -1 to 1, hence twice the share.
        turn = torch.stack(
            [torch.stack([cosine, sine], 1), torch.stack([-sine, cosine], 1)], dim=1
        ) / per_example(parameters.zoom, x[:, :, 0])
        shift = 2 * torch.stack([parameters.shift_time, parameters.shift_frequency], 1)
        theta = torch.cat([turn, -turn @ shift[:, :, None]], dim=2)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)
