"""The songs a model learned from, in its own embedding: what is near a new song, and is it far."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from melodai.checkpoint import replace_file
from melodai.errors import CheckpointError

FILE_NAME = "references.safetensors"
NUM_NEIGHBOURS = 5
# Of the songs of the training data, each held against the others, this share counts as familiar.
FAMILIAR_SHARE = 0.99
# Of a column's largest value; float16, in which they are stored, rounds to 0.0005 of it.
LEAST_SPREAD = 0.005


@dataclass(frozen=True)
class Neighbour:
    """A reference song near another song; `distance` is in standard deviations per dimension."""

    name: str
    artist: str
    mood: str
    distance: float


@dataclass(frozen=True, kw_only=True)
class References:
    """Labelled songs in the embedding of a model.

    Attributes:
        embeddings: `(song, dimension)`, each the mean of its windows.
        names, artists, moods: of each song, "" where unknown.
        threshold: mean distance to the nearest songs beyond which a song is unfamiliar.
    """

    embeddings: Tensor
    names: tuple[str, ...]
    artists: tuple[str, ...]
    moods: tuple[str, ...]
    threshold: float

    @classmethod
    def of(
        cls,
        embeddings: Tensor,
        names: Sequence[str],
        artists: Sequence[str | None],
        moods: Sequence[str],
    ) -> "References":
        """Finds the threshold by holding each song against those of other artists."""
        artists = tuple(artist or "" for artist in artists)
        whole = cls(
            embeddings=embeddings.half().float().cpu(), names=tuple(names), artists=artists,
            moods=tuple(moods), threshold=float("inf"),
        )  # fmt: skip
        distances = whole._distances(whole.embeddings)
        same = torch.tensor([[bool(a) and a == b for b in artists] for a in artists])
        same |= torch.eye(len(artists), dtype=torch.bool)
        distances[same] = float("inf")
        nearest = _mean_of_nearest(distances)
        known = nearest[nearest.isfinite()]
        threshold = known.quantile(FAMILIAR_SHARE).item() if len(known) else float("inf")
        return cls(
            embeddings=whole.embeddings, names=whole.names, artists=artists,
            moods=whole.moods, threshold=threshold,
        )  # fmt: skip

    def unfamiliarity(self, embeddings: Tensor) -> Tensor:
        """Mean distance to the nearest songs over `threshold`: `(song, dimension) -> (song,)`.

        Above 1 a song is farther from what the model learned than 99 % of what it learned.
        """
        return _mean_of_nearest(self._distances(embeddings)) / self.threshold

    def nearest(self, embedding: Tensor, count: int = NUM_NEIGHBOURS) -> list[Neighbour]:
        """The songs nearest to one, `(dimension,)`, nearest first."""
        distances = self._distances(embedding[None])[0]
        found = distances.topk(min(count, len(self.names)), largest=False)
        return [
            Neighbour(self.names[i], self.artists[i], self.moods[i], distance)
            for distance, i in zip(found.values.tolist(), found.indices.tolist(), strict=True)
        ]

    def save(self, path: Path) -> None:
        """Writes a safetensors file in one step."""
        about = {
            "names": "\x1f".join(self.names),
            "artists": "\x1f".join(self.artists),
            "moods": "\x1f".join(self.moods),
            "threshold": repr(self.threshold),
        }
        content = save({"embeddings": self.embeddings.half()}, metadata=about)
        replace_file(path, lambda file: file.write(content))

    @classmethod
    def load(cls, path: Path) -> "References":
        """Reads what `save` wrote.

        Raises:
            CheckpointError: it is not such a file.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                embeddings = file.get_tensor("embeddings").float()
                columns = {
                    name: tuple(about[name].split("\x1f")) for name in ("names", "artists", "moods")
                }
                return cls(embeddings=embeddings, threshold=float(about["threshold"]), **columns)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path} holds no reference songs: {error}") from error

    def _distances(self, embeddings: Tensor) -> Tensor:
        """`(song, dimension) -> (song, reference)`."""
        centre, spread = self.embeddings.mean(0), self.embeddings.std(0, unbiased=False)
        # Columns that hardly change hold little but the rounding of the file.
        told = spread > LEAST_SPREAD * self.embeddings.abs().amax(0).clamp_min(1e-12)
        scale = torch.where(told, 1 / spread.clamp_min(1e-12), 0.0)
        own, others = (self.embeddings - centre) * scale, (embeddings.cpu() - centre) * scale
        return torch.cdist(others, own) / told.sum().clamp_min(1) ** 0.5


def _mean_of_nearest(distances: Tensor) -> Tensor:
    count = min(NUM_NEIGHBOURS, distances.shape[1])
    return distances.topk(count, largest=False).values.mean(1)
