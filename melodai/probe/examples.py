"""What a head is fitted to: embedded windows, and what is known of their songs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from melodai.data.corpus import Corpus
from melodai.data.grouping import group_of
from melodai.embeddings import SongEmbeddings


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Windows of songs.

    Attributes:
        embeddings: `(window, dimension)` float64.
        songs: `(window,)` index into the arrays of songs.
        labels: `(song,)` class index.
        shares: `(song, class)` shares of the listeners' votes, or 1 at the label.
        weights: `(song,)` root of the number of votes, or 1, data sets balanced; their mean is 1.
        groups: `(song,)` songs of one group (artist, content) must not be parted.
    """

    embeddings: np.ndarray
    songs: np.ndarray
    labels: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, corpus: Corpus, tracks: list[int], embedded: SongEmbeddings) -> "Examples":
        """The training songs of a corpus; listeners' votes are used where the data brings them."""
        chosen = [corpus.tracks[track] for track in tracks]
        labels = np.array([corpus.moods.index(track.mood) for track in chosen])
        hard = np.eye(len(corpus.moods))[labels]
        voted = [track.scores is not None for track in chosen]
        votes = np.array([track.num_votes or 0 for track in chosen], np.float64)
        weights = np.sqrt(votes) if all(voted) and votes.all() else np.ones(len(chosen))
        weights = weights * corpus.set_weights(tracks)
        groups = np.array(group_of(corpus.tracks, corpus.keys))[tracks]
        return cls(
            embeddings=embedded.embeddings.double().numpy(),
            songs=embedded.places,
            labels=labels,
            shares=np.array(
                [
                    row if track.scores is None else track.scores
                    for track, row in zip(chosen, hard, strict=True)
                ]
            ),
            weights=weights / weights.mean(),
            groups=groups,
        )

    @property
    def num_songs(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        return self.shares.shape[1]

    @property
    def window_weights(self) -> np.ndarray:
        """`(window,)`: a song's weight, shared by its windows; their mean is 1."""
        counts = np.bincount(self.songs, minlength=self.num_songs)
        weights = (self.weights / counts)[self.songs]
        return weights / weights.mean()

    def take(self, songs: np.ndarray) -> "Examples":
        """Only these songs, in this order."""
        place = np.full(self.num_songs, -1)
        place[songs] = np.arange(len(songs))
        kept = place[self.songs] >= 0
        return replace(
            self, embeddings=self.embeddings[kept], songs=place[self.songs[kept]],
            labels=self.labels[songs], shares=self.shares[songs], weights=self.weights[songs],
            groups=self.groups[songs],
        )  # fmt: skip

    def song_means(self, windows: np.ndarray) -> np.ndarray:
        """Means over each song's windows: `(window, class) -> (song, class)`."""
        sums = np.zeros((self.num_songs, windows.shape[1]))
        np.add.at(sums, self.songs, windows)
        return sums / np.bincount(self.songs, minlength=self.num_songs)[:, None]


def columns_of(summaries: Mapping[str, torch.Tensor], names: tuple[str, ...]) -> np.ndarray:
    """Columns of an embedding that have these names."""
    return torch.cat([summaries[name] for name in names]).numpy()
