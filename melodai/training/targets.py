"""What training wants to hear of each song, what an answer costs, and how good answers are."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from melodai.config import Config
from melodai.data.corpus import Corpus
from melodai.data.splits import Split
from melodai.metrics import MoodScores, scores_of_confusion
from melodai.training.loss import balanced_class_weights, mood_loss, one_hot


class Targets:
    """The labels of all songs, on the device that trains.

    Attributes:
        labels: `(track,)` class indices, on the CPU.
    """

    def __init__(self, corpus: Corpus, split: Split, config: Config, device: torch.device) -> None:
        num_moods = len(corpus.moods)
        self.labels = torch.tensor(corpus.classes)
        shares = one_hot(self.labels, num_moods)
        if config.data.soft_labels:
            for index, track in enumerate(corpus.tracks):
                if track.scores is not None:
                    shares[index] = torch.tensor(track.scores)
        weights = torch.ones(len(shares), num_moods)
        if config.training.class_weights:
            weights *= balanced_class_weights(self.labels[list(split.train)].tolist(), num_moods)
            for part in (split.train, split.validation):
                weights[list(part)] *= torch.tensor(corpus.set_weights(part))[:, None]
        self._sets = np.array([track.data for track in corpus.tracks])
        self._shares, self._weights = shares.to(device), weights.to(device)
        self._smoothing = config.training.label_smoothing

    def of(self, tracks: Tensor) -> Tensor:
        """Shares `(batch, class)` of the moods of some songs, whose indices are on the device."""
        return self._shares[tracks]

    def losses(self, logits: Tensor, targets: Tensor, tracks: Tensor) -> Tensor:
        """`(batch,)`, of these songs and whatever was mixed into them."""
        return mood_loss(logits, targets, self._weights[tracks], self._smoothing)

    def scores(self, probabilities: np.ndarray, tracks: Sequence[int]) -> MoodScores:
        """Scores of songs `(track, class)`, with the loss that training uses."""
        device = self._shares.device
        rows = torch.tensor(list(tracks), dtype=torch.long)
        logits = torch.from_numpy(probabilities).clamp_min(1e-12).log().float().to(device)
        loss = self.losses(logits, self.of(rows.to(device)), rows.to(device)).mean().item()
        confusion = np.zeros((probabilities.shape[1],) * 2, np.int64)
        np.add.at(confusion, (self.labels[rows].numpy(), probabilities.argmax(1)), 1)
        return scores_of_confusion(confusion, loss)

    def scores_by_set(
        self, probabilities: np.ndarray, tracks: Sequence[int]
    ) -> dict[str, MoodScores]:
        """Of each data set's songs; nothing where there is one data set."""
        sets = self._sets[list(tracks)]
        names = sorted(set(sets.tolist()) - {""})
        return {
            name: self.scores(probabilities[sets == name], np.array(tracks)[sets == name].tolist())
            for name in names
        }
