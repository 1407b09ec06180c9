"""What every random transform is: parameters drawn on the host, and a pure function of them."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

# A NamedTuple of tensors, each with one entry an example; `active` says which are changed at all.
Parameters = Any


class RandomTransform(ABC):
    """Draws one set of parameters an example; they decide its output completely."""

    @abstractmethod
    def sample(self, batch_size: int, generator: torch.Generator) -> Parameters:
        """Parameters on the host, one entry an example."""

    @abstractmethod
    def apply(self, x: Tensor, parameters: Parameters) -> Tensor:
        """A changed copy; examples that are not active are returned as they are, bit by bit."""


class WaveformTransform(ABC):
    """A random transform of `(batch, time)` that knows where each example ends."""

    @abstractmethod
    def sample(self, batch_size: int, generator: torch.Generator) -> Parameters:
        """Parameters on the host, one entry an example."""

    @abstractmethod
    def apply(self, x: Tensor, num_samples: Tensor, parameters: Parameters) -> Tensor:
        """A changed copy, still zero beyond `num_samples (batch,)`."""


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
