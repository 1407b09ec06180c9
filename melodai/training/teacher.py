"""What frozen teachers say of a sound, as numbers that a student can learn.

Each teacher's living dimensions are standardised and turned into principal components, of which the
strong ones count more; beside them stand the moods that linear probes of the teachers' own
embeddings give the same window. Each teacher's components together, and the moods together, have a
variance of one, so that a squared error is the share of it left unexplained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

DEAD = 1e-3  # a dimension that varies less over the music says nothing
CLIP = 5.0  # standard deviations
PROBE_STRENGTH = 0.003  # scikit-learn's C, on standardised means over a song


@dataclass(frozen=True)
class LabelledSongs:
    """Songs of one data set whose moods are known.

    Attributes:
        moods: `(song,)` class indices.
        folds: `(song,)`, which share no artist.
        rows: `(song,)`, where each song's mean embedding stands.
    """

    name: str
    moods: np.ndarray
    folds: np.ndarray
    rows: np.ndarray


class Targets(nn.Module):
    """Embeddings of teachers -> what the student learns; all of it in buffers.

    Shape: a list of `(batch, size)`, one a teacher -> `(batch, num_layers)`, `(batch, num_moods)`.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], probes: tuple[int, int]) -> None:
        """Empty targets to load a state into.

        Args:
            sizes: of each teacher, the living dimensions and the components.
            probes: the number of probes and of moods.
        """
        super().__init__()
        self.num_teachers = len(sizes)
        for i, (alive, components) in enumerate(sizes):
            self.register_buffer(f"columns_{i}", torch.zeros(alive, dtype=torch.long))
            self.register_buffer(f"mean_{i}", torch.zeros(alive))
            self.register_buffer(f"std_{i}", torch.ones(alive))
            self.register_buffer(f"basis_{i}", torch.zeros(alive, components))
        alive_in_all = sum(alive for alive, _ in sizes)
        self.register_buffer("probe_weight", torch.zeros(*probes, alive_in_all))
        self.register_buffer("probe_bias", torch.zeros(*probes))
        self.register_buffer("mood_mean", torch.zeros(probes[1]))
        self.register_buffer("mood_scale", torch.ones(probes[1]))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Of each teacher, the living dimensions and the components."""
        return [tuple(self.get_buffer(f"basis_{i}").shape) for i in range(self.num_teachers)]

    @property
    def num_layers(self) -> int:
        """Components of all teachers."""
        return sum(components for _, components in self.sizes)

    @property
    def num_moods(self) -> int:
        """Moods of all data sets."""
        return self.probe_weight.shape[1]

    def standardised(self, embeddings: Sequence[Tensor]) -> list[Tensor]:
        """Living dimensions with mean 0 and deviation 1 over the music, clipped."""
        return [
            (
                (values[:, self.get_buffer(f"columns_{i}")] - self.get_buffer(f"mean_{i}"))
                / self.get_buffer(f"std_{i}")
            ).clamp(-CLIP, CLIP)
            for i, values in enumerate(embeddings)
        ]

    def forward(self, embeddings: Sequence[Tensor], probe: Tensor) -> tuple[Tensor, Tensor]:
        """Targets of windows.

        Args:
            probe: `(batch,)`, which of the probes is asked for the moods.
        """
        values = self.standardised(embeddings)
        layers = [z @ self.get_buffer(f"basis_{i}") for i, z in enumerate(values)]
        logits = torch.einsum("bd,bmd->bm", torch.cat(values, 1), self.probe_weight[probe])
        moods = (logits + self.probe_bias[probe] - self.mood_mean) / self.mood_scale
        return torch.cat(layers, 1), moods


def fit_targets(
    embeddings: Sequence[Tensor],
    songs: Sequence[int],
    labelled: Sequence[LabelledSongs],
    *,
    num_components: int,
    num_folds: int,
    left_out: int | None,
) -> Targets:
    """Statistics, components and probes from what the teachers say of unchanged windows.

    Probe k has not seen the labels of fold k, the last has seen those of every fold; none has seen
    those of the fold that is left out. A song of fold k is to be asked through probe k, so that its
    own label is not in its target.

    Args:
        embeddings: of each teacher, `(window, size)`.
        songs: `(window,)`, the song that each window is from.
        num_components: at most so many of each teacher.
        left_out: fold whose labels must not be seen; None to see all.
    """
    tables, columns, means, stds = [], [], [], []
    for values in embeddings:
        std, mean = torch.std_mean(values.double(), 0)
        alive = torch.nonzero(std > DEAD)[:, 0]
        columns.append(alive)
        means.append(mean[alive].float())
        stds.append(std[alive].float())
        tables.append(((values[:, alive] - means[-1]) / stds[-1]).clamp(-CLIP, CLIP))
    bases = [_components(table, num_components) / len(tables) ** 0.5 for table in tables]
    table = torch.cat(tables, 1)
    song_means = _means(table, songs)
    sets = [_probes(song_means, one, num_folds, left_out) for one in labelled]
    weight = torch.cat([w for w, _ in sets], 1) if sets else torch.zeros(1, 0, table.shape[1])
    bias = torch.cat([b for _, b in sets], 1) if sets else torch.zeros(1, 0)
    targets = Targets([tuple(basis.shape) for basis in bases], tuple(bias.shape))
    logits = table @ weight[-1].T + bias[-1]
    state = {
        "probe_weight": weight, "probe_bias": bias, "mood_mean": logits.mean(0),
        "mood_scale": logits.std(0) * max(1, logits.shape[1]) ** 0.5,
    }  # fmt: skip
    for i, parts in enumerate(zip(columns, means, stds, bases, strict=True)):
        state |= {f"{name}_{i}": part for name, part in zip(_PARTS, parts, strict=True)}
    targets.load_state_dict(state)
    return targets


_PARTS = ("columns", "mean", "std", "basis")


def _components(table: Tensor, num_components: int) -> Tensor:
    """Principal directions `(dimension, component)`, each scaled by 1 / sqrt(its deviation).

    The variance of a component is then its deviation: strong ones count more, but less than by
    their variance, in which the few strongest would be all. In all they have a variance of one.
    """
    covariance = (table.T @ table).double() / len(table)
    variances, directions = torch.linalg.eigh(covariance)
    variances, directions = variances.flip(0), directions.flip(1)
    count = min(num_components, int((variances > 1e-6 * variances[0]).sum()))
    deviations = variances[:count].sqrt()
    return (directions[:, :count] / (deviations * deviations.sum()).sqrt()).float()


def _means(table: Tensor, songs: Sequence[int]) -> Tensor:
    index = torch.as_tensor(songs)
    total = torch.zeros(int(index.max()) + 1, table.shape[1]).index_add_(0, index, table)
    return total / torch.bincount(index).clamp(min=1)[:, None]


def _probes(
    song_means: Tensor, songs: LabelledSongs, num_folds: int, left_out: int | None
) -> tuple[Tensor, Tensor]:
    """`(probe, mood, dimension)` and `(probe, mood)`: centred logits of each probe."""
    x = song_means[songs.rows].double().numpy()
    mean, std = x.mean(0), x.std(0).clip(1e-3)
    weights, biases = [], []
    for unseen in [*range(num_folds), None]:
        seen = ~np.isin(songs.folds, [fold for fold in (unseen, left_out) if fold is not None])
        probe = LogisticRegression(C=PROBE_STRENGTH, class_weight="balanced", max_iter=2000)
        probe.fit((x[seen] - mean) / std, songs.moods[seen])
        weight, bias = probe.coef_, probe.intercept_
        if len(weight) == 1:  # two moods share one row
            weight, bias = np.vstack([-weight, weight]) / 2, np.array([-bias[0], bias[0]]) / 2
        weight = weight / std
        weights.append(weight - weight.mean(0))
        biases.append(bias - bias.mean() - weights[-1] @ mean)
    as_float = [torch.from_numpy(np.stack(values)).float() for values in (weights, biases)]
    return as_float[0], as_float[1]
