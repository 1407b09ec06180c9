"""Embeddings of songs, computed once and kept in the cache."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melodai.data.cache import default_cache_dir
from melodai.data.corpus import Corpus
from melodai.data.excerpt import excerpts
from melodai.data.segments import evaluation_windows
from melodai.data.waveforms import CachedWaveforms
from melodai.files import replacing
from melodai.inference import EVALUATED_IN, SongOutputs, infer_songs
from melodai.models.base import MoodModel

logger = logging.getLogger(__name__)

VERSION = 2  # a change of what an embedding is, or of the decoding, needs a new one
SONGS_AT_ONCE = 8

OnProgress = Callable[[int, int, Path], None]
"""Called with (songs done, songs in all, the song just done)."""


@dataclass(frozen=True)
class SongEmbeddings:
    """Embeddings of each window of some songs, in the order of the songs.

    Attributes:
        embeddings: `(segment, embedding_size)`, on the CPU.
        places: `(segment,)` int64, position of the window's song among those that were asked for.
        starts, lengths: `(segment,)` int64, in samples.
    """

    embeddings: Tensor
    places: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def embed_songs(
    model: MoodModel,
    corpus: Corpus,
    tracks: Sequence[int],
    *,
    name: str,
    segment_samples: int | None,
    pieces: int = 0,
    batch_size: int,
    device: torch.device,
    cache_dir: Path | None = None,
    on_progress: OnProgress = lambda done, total, path: None,
) -> SongEmbeddings:
    """What a model embeds each window of each song as; only what the cache lacks is computed.

    Members of a joined model are kept each for itself.

    Args:
        name: of the architecture, for people who look into the cache.
        segment_samples: length of a window; None is the whole song.
        pieces: of which the only window of a song is joined; 0 for windows over all of it.
    """
    parts, songs = [], excerpts(corpus.entries, pieces, segment_samples)
    for number, member in enumerate(model.members):
        mark = fingerprint(member, segment_samples, pieces)
        folder = Path(cache_dir or default_cache_dir()).expanduser()
        folder = folder / f"embeddings-v{VERSION}" / mark
        store = _Store(folder, f"{name}, member {number}")

        def compute(rows: Sequence[int], member: MoodModel = member) -> SongOutputs:
            return infer_songs(
                member.to(device), CachedWaveforms(songs), rows,
                segment_samples=segment_samples, batch_size=batch_size, device=device,
            )  # fmt: skip

        parts.append(_all_of(store, compute, corpus, tracks, on_progress))
    windows = [
        (place, *window)
        for place, track in enumerate(tracks)
        for window in evaluation_windows(songs[track].num_samples, segment_samples)
    ]
    columns = np.array(windows, np.int64).reshape(-1, 3).T
    return SongEmbeddings(torch.cat(parts, dim=1), *columns)


def classify(model: MoodModel, songs: SongEmbeddings) -> SongOutputs:
    """What the model's head makes of embeddings."""
    device = next(model.parameters()).device if any(True for _ in model.parameters()) else None
    device = device or torch.device("cpu")
    with torch.inference_mode():
        logits = model.encoder.classifier(songs.embeddings.to(device)).float().cpu()
    return SongOutputs(logits, songs.embeddings, songs.places, songs.starts, songs.lengths)


def fingerprint(model: MoodModel, segment_samples: int | None, pieces: int = 0) -> str:
    """Names what decides an embedding: weights, front end, sample rate, window and its pieces."""
    digest = hashlib.sha256()
    said = (segment_samples, EVALUATED_IN, model.sample_rate, model.encoder.reading)
    said += (pieces,) if pieces else ()
    digest.update(repr((*said, model.frontend)).encode())
    for part, module in (("encoder", model.encoder), ("frontend", model.frontend)):
        tensors = {**module.state_dict(), **dict(module.named_buffers())}
        for name in sorted(tensors):
            if part == "encoder" and name.startswith("classifier."):
                continue
            value = tensors[name].detach().cpu().contiguous()
            digest.update(f"{part}.{name}{tuple(value.shape)}".encode())
            digest.update(value.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:20]


class _Store:
    """One folder of embeddings: an array a song, named by what its file contains."""

    def __init__(self, folder: Path, about: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "about.txt").write_text(about + "\n", encoding="utf-8")

    def read(self, key: str) -> Tensor | None:
        try:
            return torch.from_numpy(np.load(self._path(key), allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None

    def write(self, key: str, embeddings: Tensor) -> None:
        try:
            with replacing(self._path(key)) as file:
                np.save(file, embeddings.numpy(), allow_pickle=False)
        except OSError as error:
            logger.warning("the embeddings in %s cannot be kept: %s", self.folder, error.strerror)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"


def _all_of(store, compute, corpus: Corpus, tracks: Sequence[int], on_progress) -> Tensor:
    found = {track: store.read(corpus.keys[track]) for track in tracks}
    missing = [track for track, rows in found.items() if rows is None]
    done = len(found) - len(missing)
    for start in range(0, len(missing), SONGS_AT_ONCE):
        some = missing[start : start + SONGS_AT_ONCE]
        outputs = compute(some)
        for place, track in enumerate(some):
            found[track] = outputs.embeddings[torch.from_numpy(outputs.places == place)].clone()
            store.write(corpus.keys[track], found[track])
            done += 1
            on_progress(done, len(found), corpus.tracks[track].path)
    return torch.cat([found[track] for track in tracks])
