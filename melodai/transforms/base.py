"""What every random transform is: parameters drawn on the host, and a pure function of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from melodai.transforms.threads import run_all

# A NamedTuple of tensors, each with one entry an example; `active` says which are changed at all.
Parameters = Any


class RandomTransform(ABC):
    """A random change of pictures `(batch, 1, height, width)`.

    It draws one set of parameters an example, and these decide the outcome completely.
    """

    @abstractmethod
    def sample(self, batch_size: int, generator: torch.Generator) -> Parameters:
        """Parameters on the host, one entry an example."""

    @abstractmethod
    def change(self, x: Tensor, parameters: Parameters) -> Tensor:
        """The changed copies of all examples."""

    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        """Changed copies of the active examples; the others as they are, bit by bit."""
        active = per_example(parameters.active, x)
        return torch.where(active, self.change(x, parameters), x)


class WaveformTransform(ABC):
    """A random change of sounds `(batch, time)` that end after `num_samples (batch,)`."""

    @abstractmethod
    def sample(self, batch_size: int, generator: torch.Generator) -> Parameters:
        """Parameters on the host, one entry an example."""

    @abstractmethod
    def change(self, x: Tensor, num_samples: Tensor, parameters: Parameters) -> Tensor:
        """The changed copies of all examples; what is beyond their ends does not matter."""

    def apply(self, x: Tensor, num_samples: Tensor, parameters: Parameters) -> Tensor:
        """Changed copies of the active examples; the others as they are, bit by bit."""
        return apply_in_turn((self,), x, num_samples, (parameters,))


def apply_in_turn(
    transforms: Sequence[WaveformTransform],
    x: Tensor,
    num_samples: Tensor,
    parameters: Sequence[Parameters],
) -> Tensor:
    """Sounds `(batch, time)` after all the transforms, still zero beyond their ends."""
    steps = list(zip(transforms, parameters, strict=True))
    if x.device.type != "cpu":
        is_inside = torch.arange(x.shape[1], device=x.device) < num_samples[:, None]
        for transform, values in steps:
            changed = transform.change(x, num_samples, values)
            x = torch.where(values.active[:, None] & is_inside, changed, x)
        return x
    result = torch.empty_like(x)

    # On the CPU one example after the other, which stays in the cache for all of its transforms;
    # those that are not active cost nothing.
    def fill(i: int) -> None:
        row, end = slice(i, i + 1), int(num_samples[i])
        one = x[row, :end]
        for transform, values in steps:
            if values.active[i]:
                own = map_tensors(lambda value: value[row], values)
                one = transform.change(one, num_samples[row], own)
        result[row, :end], result[row, end:] = one, 0

    run_all(fill, range(len(x)))
    return result


def uniform(
    low: float, high: float, shape: int | tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Float32 numbers between two bounds."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def chosen(probability: float, batch_size: int, generator: torch.Generator) -> Tensor:
    """Bool `(batch,)`, each true with that probability."""
    return torch.rand(batch_size, generator=generator) < probability


def per_example(values: Tensor, like: Tensor) -> Tensor:
    """`(batch,)` with axes appended so that it meets `like (batch, ...)`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def map_tensors(function: Any, record: Any) -> Any:
    """The same nest of tuples and NamedTuples with the function applied to each tensor."""
    if isinstance(record, Tensor):
        return function(record)
    if record is None:
        return None
    mapped = [map_tensors(function, part) for part in record]
    return type(record)(*mapped) if hasattr(record, "_fields") else tuple(mapped)
