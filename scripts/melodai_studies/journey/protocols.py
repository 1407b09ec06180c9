"""Two ways to split the same songs: one that is honest, and the study's, which leaks.

The leaky one exists to be measured. It takes several excerpts of every song, overlapping and a
little shifted against each other as augmented copies are, and deals them out at random, so that
nearly every excerpt that is scored has sisters among those that were learnt; and the best epoch is
chosen on the very excerpts that are reported. It is built by hand: `make_split` refuses it.
"""

from dataclasses import dataclass, replace

import numpy as np

from melodai.config import DataConfig
from melodai.data.corpus import Corpus
from melodai.data.splits import Split, make_split
from melodai.data.store import CachedTrack

LEAKY_SHARE = 0.2  # of the excerpts, scored
SEGMENTS, COPIES = 2, 2
SHIFT_SECONDS = 2.0  # copies of an excerpt begin up to so much earlier or later


@dataclass(frozen=True, kw_only=True)
class Excerpt(CachedTrack):
    """A piece of a song that passes for a song of its own.

    Attributes:
        offset: its first sample in the song.
        song_samples: length of the song.
    """

    offset: int = 0
    song_samples: int = 0

    def read_into(self, samples: np.ndarray, start: int = 0) -> None:
        if start < 0 or start + len(samples) > self.num_samples:
            raise ValueError(f"samples {start} to {start + len(samples)} of {self.num_samples}")
        song = CachedTrack(
            key=self.key, path=self.path, num_samples=self.song_samples, checksum=self.checksum
        )
        song.read_into(samples, self.offset + start)


def honest_split(corpus: Corpus, config: DataConfig, fold: int, seed: int) -> Split:
    """By artist: the fold is the test part, validation is drawn from the rest."""
    return make_split(
        corpus.tracks, corpus.keys, fold=fold, num_folds=config.num_folds,
        validation_fraction=config.validation_fraction, seed=seed,
    )  # fmt: skip


def leaky_songs(corpus: Corpus, segment_samples: int | None, seed: int) -> tuple[Corpus, Split]:
    """Excerpts (whole songs where `segment_samples` is None), dealt out at random."""
    random = np.random.default_rng([seed, 1])
    if segment_samples is not None:
        corpus = _excerpts(corpus, segment_samples, random)
    order = random.permutation(len(corpus.tracks))
    scored = int(len(order) * LEAKY_SHARE)
    parts = [tuple(sorted(part.tolist())) for part in (order[scored:], order[:scored])]
    return corpus, Split(train=parts[0], validation=parts[1], test=(), fold=None, source="leaky")


def _excerpts(corpus: Corpus, segment_samples: int, random: np.random.Generator) -> Corpus:
    tracks, entries = [], []
    shift = round(SHIFT_SECONDS * corpus.sample_rate)
    for track, entry in zip(corpus.tracks, corpus.entries, strict=True):
        last = max(0, entry.num_samples - segment_samples)
        for segment in range(SEGMENTS):
            for copy in range(COPIES):
                moved = random.integers(-shift, shift + 1) if copy else 0
                start = int(np.clip(segment * last // (SEGMENTS - 1) + moved, 0, last))
                length = min(segment_samples, entry.num_samples)
                name = f"{track.name}#{segment}-{copy}"
                tracks.append(replace(track, name=name))
                entries.append(
                    Excerpt(
                        key=entry.key,
                        path=entry.path,
                        num_samples=length,
                        checksum=entry.checksum,
                        offset=start,
                        song_samples=entry.num_samples,
                    )
                )
    return replace(corpus, tracks=tuple(tracks), entries=tuple(entries))


def shuffled_labels(corpus: Corpus, seed: int) -> Corpus:
    """The same songs with their moods dealt out anew: nothing is left to learn but the songs."""
    order = np.random.default_rng([seed, 2]).permutation(len(corpus.tracks))
    given = [corpus.tracks[index] for index in order]
    tracks = (
        replace(track, mood=other.mood, scores=other.scores)
        for track, other in zip(corpus.tracks, given, strict=True)
    )
    return replace(corpus, tracks=tuple(tracks))
