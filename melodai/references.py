"""The songs a model learned from, in its own embedding: what is near a new song, and is it far."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from melodai.errors import CheckpointError
from melodai.files import replace_file

FILE_NAME = "references.safetensors"
NUM_NEIGHBOURS = 5
# Of the songs of the training data, each held against the others, this share counts as familiar.
FAMILIAR_SHARE = 0.99
# Of a column's largest value; float16, in which they are stored, rounds to 0.0005 of it.
LEAST_SPREAD = 0.005
MOST_DEVIATIONS = 3.0  # of a component: beyond them a sound is not stranger still


@dataclass(frozen=True)
class Space:
    """Principal components of songs, and how in them a sound that is no music is told from music.

    Attributes:
        columns: `(dimension,)` those of the embedding that change.
        mean: `(dimension,)`.
        rotation: `(dimension, component)`, of dimensions whose deviation becomes 1.
        deviations: `(component,)`, of the songs.
        alarm: `(component,)` weights of the detector.
        bias: of the detector, which says 0 where it begins to flag.
    """

    columns: Tensor
    mean: Tensor
    rotation: Tensor
    deviations: Tensor
    alarm: Tensor
    bias: Tensor

    def components(self, embeddings: Tensor) -> Tensor:
        """`(song, dimension) -> (song, component)`."""
        x = embeddings.float().cpu().index_select(1, self.columns.int())
        return (x - self.mean) @ self.rotation

    def evidence(self, components: Tensor) -> Tensor:
        """What a detector looks at: `(song, component)`, in deviations."""
        return (components / self.deviations).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)

    def alarms(self, components: Tensor) -> Tensor:
        """What speaks against music: `(song, component) -> (song,)` logits."""
        return self.evidence(components) @ self.alarm + self.bias


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
        embeddings: `(song, dimension)`, each the mean of its windows; `(song, component)` where
            there is a space.
        names, artists, moods: of each song, "" where unknown.
        threshold: mean distance to the nearest songs beyond which a song is unfamiliar.
        space: where songs are many, their components, and a detector of what is no music.
    """

    embeddings: Tensor
    names: tuple[str, ...]
    artists: tuple[str, ...]
    moods: tuple[str, ...]
    threshold: float
    space: Space | None = None

    @classmethod
    def of(
        cls,
        embeddings: Tensor,
        names: Sequence[str],
        artists: Sequence[str | None],
        moods: Sequence[str],
        space: Space | None = None,
    ) -> "References":
        """Finds the threshold by holding each song against those of other artists."""
        artists = tuple(artist or "" for artist in artists)
        embeddings = embeddings if space is None else space.components(embeddings)
        whole = cls(
            embeddings=embeddings.half().float().cpu(), names=tuple(names), artists=artists,
            moods=tuple(moods), threshold=float("inf"), space=space,
        )  # fmt: skip
        distances = whole._distances(whole.embeddings)
        same = torch.tensor([[bool(a) and a == b for b in artists] for a in artists])
        same |= torch.eye(len(artists), dtype=torch.bool)
        distances[same] = float("inf")
        nearest = _mean_of_nearest(distances)
        known = nearest[nearest.isfinite()]
        threshold = known.quantile(FAMILIAR_SHARE).item() if len(known) else float("inf")
        return replace(whole, threshold=threshold)

    def unfamiliarity(self, embeddings: Tensor) -> Tensor:
        """Mean distance to the nearest songs over `threshold`: `(song, dimension) -> (song,)`.

        Above 1 a song is farther from what the model learned than 99 % of what it learned, or,
        where there is a detector, what it says against music is more than it says of 95 %.
        """
        if self.space is None:
            return _mean_of_nearest(self._distances(embeddings)) / self.threshold
        components = self.space.components(embeddings)
        distance = _mean_of_nearest(self._distances(components)) / self.threshold
        return distance.maximum(self.space.alarms(components).exp())

    def nearest(self, embedding: Tensor, count: int = NUM_NEIGHBOURS) -> list[Neighbour]:
        """The songs nearest to one, `(dimension,)`, nearest first."""
        place = embedding[None] if self.space is None else self.space.components(embedding[None])
        distances = self._distances(place)[0]
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
        tensors = {"embeddings": self.embeddings.half()}
        if self.space is not None:
            tensors |= vars(self.space) | {"rotation": self.space.rotation.half().contiguous()}
        content = save(tensors, metadata=about)
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
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
                embeddings = tensors.pop("embeddings")
                columns = {
                    name: tuple(about[name].split("\x1f")) for name in ("names", "artists", "moods")
                }
                return cls(
                    embeddings=embeddings, threshold=float(about["threshold"]),
                    space=Space(**tensors) if tensors else None, **columns,
                )  # fmt: skip
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path} holds no reference songs: {error}") from error

    def _distances(self, embeddings: Tensor) -> Tensor:
        """Of songs in the space of the references: `(song, dimension) -> (song, reference)`."""
        if self.space is not None:
            return torch.cdist(embeddings, self.embeddings) / self.space.deviations.norm()
        scale = told_scale(self.embeddings)
        centre = self.embeddings.mean(0)
        own, others = (self.embeddings - centre) * scale, (embeddings.cpu() - centre) * scale
        return torch.cdist(others, own) / (scale > 0).sum().clamp_min(1) ** 0.5


def told_scale(embeddings: Tensor) -> Tensor:
    """One over the deviation of each column, `(dimension,)`; 0 where it hardly changes."""
    spread = embeddings.std(0, unbiased=False)
    # Such columns hold little but the rounding of the file.
    told = spread > LEAST_SPREAD * embeddings.abs().amax(0).clamp_min(1e-12)
    return torch.where(told, 1 / spread.clamp_min(1e-12), 0.0)


def _mean_of_nearest(distances: Tensor) -> Tensor:
    count = min(NUM_NEIGHBOURS, distances.shape[1])
    return distances.topk(count, largest=False).values.mean(1)
