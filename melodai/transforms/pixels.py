"""Stored pictures as a front end: there is nothing left to do but to give them their shape."""

from typing import Any

from torch import Tensor, nn

from melodai.errors import SettingError


class Pixels(nn.Module):
    """Pixels in a row, as the cache has them, to pictures.

    The values are those of `LogMel`'s pictures: -1 is black, the floor, 1 is white, the maximum;
    row 0 is the lowest band.

    Shape: `(batch, image_size * image_size) -> (batch, 1, image_size, image_size)`.

    Example:
        >>> Pixels(64)(torch.zeros(2, 64 * 64)).shape
        torch.Size([2, 1, 64, 64])
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size

    def forward(self, pixels: Tensor, num_samples: Any = None, draw: Any = None) -> Tensor:
        """Pictures; the lengths are all the same, and no change of a sound applies.

        Raises:
            SettingError: it is something else, a song say.
        """
        size = self.image_size
        if pixels.shape[1] != size * size:
            raise SettingError(
                f"this network was trained on pictures of {size} x {size} pixels and cannot "
                "listen to songs; choose a model that was trained on songs"
            )
        return pixels.float().view(-1, 1, size, size)
