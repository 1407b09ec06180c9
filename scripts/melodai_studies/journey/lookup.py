"""A look-up table in place of a network: every excerpt takes the mood of the one it sounds like.

It learns nothing of moods. On artists that it has not heard it shows what the sound alone gives
away; on the leaky split it finds each excerpt's sister, so that even shuffled labels are "told" by
it nearly always: what the leak is worth to a learner that can memorise.
"""

from collections.abc import Sequence

import numpy as np
import torch

from melodai.config import FrontEndConfig
from melodai.data.corpus import Corpus
from melodai.data.loader import evaluation_batches
from melodai.data.waveforms import CachedWaveforms
from melodai.inference import SongOutputs, to_float
from melodai.transforms.mel import LogMel

BATCH_SIZE = 16
CPU = torch.device("cpu")


def nearest_outputs(
    corpus: Corpus,
    train: Sequence[int],
    scored: Sequence[int],
    *,
    frontend: FrontEndConfig,
    segment_samples: int | None,
) -> SongOutputs:
    """What the training windows that sound most alike say of each window of the scored songs.

    The logit of a mood is minus the distance to the nearest training window of that mood, so that
    the surest mood is that of the nearest window of all.
    """
    learnt, songs, _ = _describe(corpus, train, frontend, segment_samples)
    asked, _, windows = _describe(corpus, scored, frontend, segment_samples)
    mean, scale = learnt.mean(0), learnt.std(0) + 1e-6
    distances = torch.cdist((asked - mean) / scale, (learnt - mean) / scale)
    moods = torch.tensor(corpus.classes)[songs]
    nearest = [distances[:, moods == mood].amin(1) for mood in range(len(corpus.moods))]
    place = {track: position for position, track in enumerate(scored)}
    columns = np.array([(place[t], start, length) for t, start, length in windows], np.int64).T
    return SongOutputs(-torch.stack(nearest, 1), asked, *columns)


@torch.inference_mode()
def _describe(
    corpus: Corpus, tracks: Sequence[int], frontend: FrontEndConfig, segment_samples: int | None
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, int, int]]]:
    """Mean and spread of each mel band, `(window, 2 * mel)`, the windows' tracks, and where."""
    log_mel = LogMel(
        sample_rate=frontend.sample_rate, n_fft=frontend.n_fft, hop_length=frontend.hop_length,
        n_mels=frontend.n_mels, f_min=frontend.f_min, f_max=frontend.f_max,
    )  # fmt: skip
    described, windows = [], []
    for batch in evaluation_batches(
        CachedWaveforms(corpus.entries), tracks,
        segment_samples=segment_samples, batch_size=BATCH_SIZE,
    ):  # fmt: skip
        windows += [tuple(segment) for segment in batch.segments]
        for waveform, length in zip(batch.waveform, batch.num_samples.tolist(), strict=True):
            decibels = log_mel.decibels(to_float(waveform[None, :length], CPU))[0]
            described.append(torch.cat([decibels.mean(1), decibels.std(1)]))
    return torch.stack(described), torch.tensor([window[0] for window in windows]), windows
