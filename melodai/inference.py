"""Windows of songs through a model: the one way to look at music outside training."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from melodai.models import MoodModel


class SegmentBatch(Protocol):
    """Windows of some songs: int16 `(batch, time)`, zero-padded, and how long each really is."""

    waveform: Tensor
    num_samples: Tensor


@dataclass(frozen=True)
class SegmentOutputs:
    """What a model says of each window, on the CPU, in the order of the windows.

    Attributes:
        logits: `(segment, class)`.
        embeddings: `(segment, embedding_size)`.
    """

    logits: Tensor
    embeddings: Tensor

    def probabilities(self) -> Tensor:
        """`(segment, class)`, each row sums to 1."""
        return self.logits.double().softmax(1)


def to_float(waveform: Tensor, device: torch.device) -> Tensor:
    """int16 `(batch, time)` -> float32 in [-1, 1) on the device; half the bytes travel."""
    return waveform.to(device, non_blocking=True).float().mul_(1 / 32768)


def network_precision(device: torch.device, precision: str) -> AbstractContextManager:
    """Autocast to bfloat16 where asked for (`auto`: on CUDA); the front end stays in float32."""
    reduced = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=reduced)


@torch.inference_mode()
def infer(
    model: MoodModel, batches: Iterable[SegmentBatch], device: torch.device, precision: str
) -> SegmentOutputs:
    """Logits and embeddings of every window; the model is left in evaluation mode."""
    model.eval()
    logits, embeddings = [], []
    for batch in batches:
        features = model.frontend(to_float(batch.waveform, device), batch.num_samples.to(device))
        with network_precision(device, precision):
            embedding = model.encoder.embed(features)
            logits.append(model.encoder.classifier(embedding).float())
        embeddings.append(embedding.float())
    if not logits:
        size = model.encoder.embedding_size
        return SegmentOutputs(torch.zeros(0, len(model.moods)), torch.zeros(0, size))
    return SegmentOutputs(torch.cat(logits).cpu(), torch.cat(embeddings).cpu())


def gather_rows(rows: Tensor, indices: Tensor, num_rows: int) -> Tensor:
    """Rows computed by several processes, each at its index: `(own, ...) -> (num_rows, ...)`."""
    whole = rows.new_zeros((num_rows, *rows.shape[1:]))
    whole[indices] = rows
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(whole)
    return whole
