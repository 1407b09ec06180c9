"""Antialiased resizing along one axis, as a matrix that is made on the device."""

import torch
from torch import Tensor


def triangle_weights(num_inputs: Tensor, max_inputs: int, num_outputs: int) -> Tensor:
    """Weights that resize the first `num_inputs` of `max_inputs` values to `num_outputs`.

    Those of `torch.nn.functional.interpolate(mode="bilinear", antialias=True)`: a triangle two
    output steps wide when values are merged, linear interpolation when they are spread.

    Shape: `(batch,)` -> `(batch, max_inputs, num_outputs)` float32; each column sums to 1.
    """
    device = num_inputs.device
    step = num_inputs[:, None, None].float() / num_outputs  # inputs an output
    centre = (torch.arange(num_outputs, device=device) + 0.5) * step
    index = torch.arange(max_inputs, device=device)[:, None]
    weights = 1 - (index + 0.5 - centre).abs_().div_(step.clamp(min=1))
    weights = weights.clamp_(min=0).mul_(index < num_inputs[:, None, None])
    return weights.div_(weights.sum(dim=1, keepdim=True))
