"""Fits the space of a model's songs, and in it a detector of what is no music."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from melodai.data.not_music import not_music
from melodai.inference import infer_windows
from melodai.models import MoodModel
from melodai.probe.fit import MOST_COMPONENTS, principal_components
from melodai.references import Space, told_scale

# Of songs of artists held out, this share is heard as music. Of speech and field recordings that
# it had never heard anything like, the detector of musicnn-msd finds 93 % at this point.
HEARD_AS_MUSIC = 0.95
NUM_FOLDS = 5
FEWEST_SONGS = 2 * MOST_COMPONENTS
DETECTOR_C = 0.003


def embed_sounds(model: MoodModel, num_samples: int, device: torch.device) -> Tensor:
    """The made sounds that are no music, `(sound, embedding_size)`."""
    model.to(device).eval()
    embeddings = []
    with torch.inference_mode():
        for sound in not_music(model.sample_rate, num_samples):
            waveform = torch.from_numpy((sound * 32767).astype(np.int16))[None]
            length = torch.tensor([num_samples])
            embeddings.append(infer_windows(model, waveform, length, device)[1])
    return torch.cat(embeddings)


def fit_space(embeddings: Tensor, others: Tensor, groups: Sequence[int]) -> Space:
    """Fitted to songs, `(song, dimension)`, and to sounds that are no music.

    Where the detector begins to flag is found by holding out the songs of some artists.

    Args:
        groups: of each song: those of one group are held out together.
    """
    from sklearn.model_selection import GroupKFold

    said = torch.zeros(len(embeddings))
    for known, held in GroupKFold(NUM_FOLDS).split(embeddings, groups=groups):
        space = _fitted(embeddings[known], others)
        said[held] = space.alarms(space.components(embeddings[held]))
    space = _fitted(embeddings, others)
    return replace(space, bias=space.bias - said.quantile(HEARD_AS_MUSIC))


def _fitted(embeddings: Tensor, others: Tensor) -> Space:
    from sklearn.linear_model import LogisticRegression

    scale = told_scale(embeddings)
    columns = scale.nonzero()[:, 0]
    scale, known = scale[columns], embeddings[:, columns]
    mean = known.mean(0)
    x = ((known - mean) * scale).double().numpy()
    found = principal_components(x, MOST_COMPONENTS)
    rotation = scale[:, None] * torch.from_numpy(found.rotation).float()
    deviations, count = torch.from_numpy(found.deviations).float(), rotation.shape[1]
    space = Space(columns, mean, rotation, deviations, torch.zeros(count), torch.zeros(()))
    evidence = space.evidence(space.components(torch.cat([embeddings, others])))
    model = LogisticRegression(C=DETECTOR_C, class_weight="balanced", max_iter=1000)
    model.fit(evidence.numpy(), np.arange(len(evidence)) >= len(embeddings))
    alarm, bias = torch.from_numpy(model.coef_[0]), torch.tensor(model.intercept_[0])
    return replace(space, alarm=alarm.float(), bias=bias.float())
