"""Windows of songs through a model: the one way to look at music outside training."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from melodai.data.loader import Waveforms, evaluation_batches
from melodai.environment import to_device
from melodai.models import MoodModel

# What songs are answered in; a temperature that is fitted in one precision is not that of another.
EVALUATED_IN = "float32"


@dataclass(frozen=True)
class SongOutputs:
    """What a model says of each window of some songs, on the CPU, in the order of the songs.

    Attributes:
        logits: `(segment, class)`.
        embeddings: `(segment, embedding_size)`, before the last layer.
        places: `(segment,)` int64, position of the window's song among those that were asked for.
        starts, lengths: `(segment,)` int64, in samples.
    """

    logits: Tensor
    embeddings: Tensor
    places: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def probabilities(self) -> Tensor:
        """`(segment, class)`, each row sums to 1."""
        return self.logits.double().softmax(1)

    def song_embeddings(self, num_songs: int) -> Tensor:
        """The mean of each song's windows, `(song, embedding_size)`."""
        where = torch.from_numpy(self.places)
        total = torch.zeros(num_songs, self.embeddings.shape[1])
        total.index_add_(0, where, self.embeddings)
        return total / torch.bincount(where, minlength=num_songs)[:, None]


def to_float(waveform: Tensor, device: torch.device) -> Tensor:
    """int16 `(batch, time)` -> float32 in [-1, 1) on the device; half the bytes travel."""
    return waveform.to(device, non_blocking=True).float().mul_(1 / 32768)


def network_precision(device: torch.device, precision: str) -> AbstractContextManager:
    """Autocast to bfloat16 where asked for (`auto`: on CUDA); the front end stays in float32."""
    reduced = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=reduced)


def exact_arithmetic(device: torch.device, precision: str) -> AbstractContextManager:
    """On CUDA convolutions would take TF32 and whichever algorithm suits the batch."""
    if device.type != "cuda" or precision != EVALUATED_IN:
        return nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


def infer_windows(
    model: MoodModel,
    waveform: Tensor,
    num_samples: Tensor,
    device: torch.device,
    precision: str = EVALUATED_IN,
) -> tuple[Tensor, Tensor]:
    """A batch of windows through a model in evaluation mode, to the CPU.

    Args:
        waveform: `(batch, time)` int16.
        num_samples: `(batch,)` int64, what lies beyond is padding.
        precision: another than that of evaluation is for speed alone.

    Returns:
        logits `(batch, class)` and embeddings `(batch, embedding_size)`.
    """
    with exact_arithmetic(device, precision):
        features = model.frontend(to_float(waveform, device), to_device(num_samples, device))
        with network_precision(device, precision):
            embedding = model.encoder.embed(features)
            logits = model.encoder.classifier(embedding)
    return logits.float().cpu(), embedding.float().cpu()


@torch.inference_mode()
def infer_songs(
    model: MoodModel,
    waveforms: Waveforms,
    tracks: Sequence[int],
    *,
    segment_samples: int | None,
    batch_size: int,
    device: torch.device,
    on_batch: Callable[[], None] = lambda: None,
) -> SongOutputs:
    """Every window of every song through the model, which is left in evaluation mode.

    In float32, in whatever precision the model was trained: scores and the temperature are then of
    the same arithmetic as the answers.

    Args:
        waveforms: where the samples come from.
        tracks: indices of songs there.
        segment_samples: length of a window; None is the whole song.
        on_batch: called before each batch; what it raises ends the work.
    """
    model.eval()
    place = {track: position for position, track in enumerate(tracks)}
    logits = [torch.zeros(0, len(model.moods))]
    embeddings = [torch.zeros(0, model.encoder.embedding_size)]
    windows = []
    for batch in evaluation_batches(
        waveforms, tracks, segment_samples=segment_samples, batch_size=batch_size
    ):
        on_batch()
        outputs = infer_windows(model, batch.waveform, batch.num_samples, device)
        logits.append(outputs[0])
        embeddings.append(outputs[1])
        windows += [(place[s.track], s.start, s.num_samples) for s in batch.segments]
    columns = np.array(windows, np.int64).reshape(-1, 3).T
    return SongOutputs(torch.cat(logits), torch.cat(embeddings), *columns)


def gather_rows(rows: Tensor, indices: Tensor, num_rows: int) -> Tensor:
    """Rows computed by several processes, each at its index: `(own, ...) -> (num_rows, ...)`."""
    whole = rows.new_zeros((num_rows, *rows.shape[1:]))
    whole[indices] = rows
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(whole)
    return whole
