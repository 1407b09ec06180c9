"""What every random transform is: parameters drawn on the host, and a pure function of them."""

from abc import ABC, abstractmethod
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
        """The changed copies of all examples, still zero beyond their ends."""

    def apply(self, x: Tensor, num_samples: Tensor, parameters: Parameters) -> Tensor:
        """Changed copies of the active examples; the others as they are, bit by bit."""
        if x.device.type != "cpu":
            changed = self.change(x, num_samples, parameters)
            return torch.where(parameters.active[:, None], changed, x)
        result = torch.empty_like(x)

        # On the CPU one at a time, so that an example stays in the cache, and those that stay as
        # they are cost nothing.
        def fill(i: int) -> None:
            row = slice(i, i + 1)
            if parameters.active[i]:
                own = map_tensors(lambda values: values[row], parameters)
                result[row] = self.change(x[row], num_samples[row], own)
            else:
                result[row] = x[row]

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
