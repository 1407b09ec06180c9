"""How lucky the best of many models is: its score on songs that did not choose it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodai.errors import DataError
from melodai.evaluation.intervals import NUM_RESAMPLES, cluster_members
from melodai.evaluation.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Whichever model is best on some artists, on the others.

    Attributes:
        accuracy: expected for the model that is chosen, on songs of artists that did not choose it.
        favourite: index of the model that is chosen most often, and how often that is.
    """

    accuracy: float
    favourite: int
    share: float


def score_of_chosen(
    models: Sequence[Predictions],
    *,
    random: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> Selection:
    """Chooses by accuracy on artists drawn with replacement, scores on those not drawn.

    Of equally accurate models that with the lower log-loss is chosen.

    Source: I. Tsamardinos, E. Greasidou, G. Borboudakis, Bootstrapping the out-of-sample
    predictions for efficient and accurate cross-validation, Machine Learning 107 (2018), section 4.

    Raises:
        DataError: the models were not tested on the same songs.
    """
    first = models[0]
    right, likelihood = [], []
    for model in models:
        rows = np.argsort(model.names)
        if not np.array_equal(model.names[rows], np.sort(first.names)):
            raise DataError("the models were tested on different songs")
        said, labels = model.calibrated[rows], model.labels[rows]
        right.append(said.argmax(axis=1) == labels)
        likelihood.append(np.log(np.maximum(said[np.arange(len(labels)), labels], 1e-12)))
    order = np.argsort(first.names)
    members = cluster_members(first.clusters[order])
    right_of, surprise_of = np.array(right, float), -np.array(likelihood)
    scores, chosen = [], Counter[int]()
    for draw in random.integers(len(members), size=(num_resamples, len(members))):
        left = np.setdiff1d(np.arange(len(members)), draw)
        if not len(left):
            continue
        inside = np.concatenate([members[index] for index in draw])
        outside = np.concatenate([members[index] for index in left])
        accuracy = right_of[:, inside].mean(axis=1)
        best = int(np.lexsort((surprise_of[:, inside].mean(axis=1), -accuracy))[0])
        scores.append(right_of[best, outside].mean())
        chosen[best] += 1
    favourite, times = chosen.most_common(1)[0]
    return Selection(
        accuracy=float(np.mean(scores)), favourite=favourite, share=times / len(scores)
    )
