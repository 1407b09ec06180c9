"""A mood classifier for scikit-learn: `fit(paths, moods, groups=artists).predict_proba(paths)`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from melodai.data.artists import artist_names, connected
from melodai.data.cache import build_cache
from melodai.data.corpus import Corpus
from melodai.data.segments import samples_of
from melodai.data.tracks import Track
from melodai.embeddings import SongEmbeddings, classify, embed_songs
from melodai.environment import find_device
from melodai.errors import DataError, SettingError
from melodai.metrics import pool_by_track
from melodai.models.registry import PretrainedOptions, build_model, mode_of
from melodai.presets import OWN, default
from melodai.probe.choose import choose_head
from melodai.probe.examples import Examples

SongPath = str | Path


class MoodClassifier(ClassifierMixin, BaseEstimator):
    """A probe of a frozen network, or of features made by hand, on audio files.

    The inputs are paths of audio files; each is decoded and embedded once and kept in the cache.
    Heads, hyper-parameters and temperature are chosen within the songs of `fit`, artists held out
    whole. Fitted with the same seed on the same songs it gives the same probabilities.

    Args:
        arch: as `melodai-train --arch`, pretrained or made by hand; the default needs no weights.
            residual and advanced begin with the weights of the package where it has some.
        head: as `melodai-train --head`.
        layers: of the network, joined by +; None for its own choice.
        segment_seconds: length of a window, or "full"; None is 3 s for melodai's own networks and
            30 s for others.
        cache_dir: None is the user's cache folder, or $MELODAI_CACHE.
        weights_dir: where to look for pretrained weights first.
        offline: never fetch them.
        device: as `melodai-train --device`.
        num_decoders: processes that decode files; None is the number of cores.
        seed: of every random choice.

    Attributes:
        classes_: the moods, sorted.
        model_: the fitted `MoodModel`.
        chosen_: the heads that were chosen, in words.
        held_out_: `(song, class)` probabilities of the songs of `fit`, each while it was held out.

    Example:
        >>> MoodClassifier().fit(paths, moods, groups=artists).predict(other_paths)
    """

    def __init__(
        self,
        arch: str = "log-mel-statistics",
        head: str = "auto",
        layers: str | None = None,
        segment_seconds: float | str | None = None,
        cache_dir: SongPath | None = None,
        weights_dir: SongPath | None = None,
        offline: bool = False,
        device: str = "auto",
        num_decoders: int | None = None,
        seed: int = 0,
    ) -> None:
        self.arch = arch
        self.head = head
        self.layers = layers
        self.segment_seconds = segment_seconds
        self.cache_dir = cache_dir
        self.weights_dir = weights_dir
        self.offline = offline
        self.device = device
        self.num_decoders = num_decoders
        self.seed = seed

    def fit(
        self,
        paths: Sequence[SongPath],
        moods: Sequence[str],
        groups: Sequence[str] | None = None,
    ) -> "MoodClassifier":
        """Learns from songs.

        Args:
            moods: one for each path.
            groups: artists, one for each path; songs of one are held out together. None takes
                what the files' tags say, and each song for itself where they say nothing.

        Raises:
            SettingError: lengths that differ, fewer than two moods, an unknown network. Also a
                ValueError.
            DataError: a file that cannot be used; all such files are named.
        """
        paths, labels = _as_paths(paths), np.asarray(moods)
        if labels.shape != (len(paths),):
            raise SettingError(f"{len(paths)} paths and moods of shape {labels.shape}")
        if groups is not None and len(groups) != len(paths):
            raise SettingError(f"{len(paths)} paths and {len(groups)} groups")
        self.classes_, classes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise SettingError(f"{len(self.classes_)} moods; at least two are needed")
        recipe = default(self.arch)
        options = PretrainedOptions(
            layers=self.layers, offline=self.offline,
            weights_dir=None if self.weights_dir is None else Path(self.weights_dir),
        )  # fmt: skip
        names = [str(mood) for mood in self.classes_]
        self.model_ = build_model(
            self.arch, names, frontend=recipe.frontend, pooling=recipe.model.pooling,
            init=recipe.model.init, pretrained=options,
        )  # fmt: skip
        is_pretrained = getattr(self.model_.encoder, "is_pretrained", False)
        mode_of("probe", self.arch, is_pretrained=is_pretrained)
        artists = [None] * len(paths) if groups is None else [str(group) for group in groups]
        corpus, embedded = self._embedded(paths, artists)
        examples = Examples(
            embeddings=embedded.embeddings.double().numpy(),
            songs=embedded.places,
            labels=classes,
            shares=np.eye(len(names))[classes],
            weights=np.ones(len(paths)),
            groups=_groups(corpus),
        )
        chosen = choose_head(self.head, examples, self.model_.encoder.summaries, seed=self.seed)
        self.model_.encoder.classifier = chosen.head
        self.chosen_ = tuple(map(str, chosen.candidates))
        said = torch.from_numpy(chosen.logits).softmax(1).numpy()
        self.held_out_ = examples.song_means(said)
        return self

    def predict_proba(self, paths: Sequence[SongPath]) -> np.ndarray:
        """Calibrated probabilities `(song, class)`, in the order of `classes_`.

        Raises:
            DataError: a file that cannot be used.
        """
        check_is_fitted(self, "model_")
        paths = _as_paths(paths)
        _, embedded = self._embedded(paths, [None] * len(paths))
        outputs = classify(self.model_, embedded)
        return pool_by_track(outputs.probabilities(), outputs.places, len(paths))

    def predict(self, paths: Sequence[SongPath]) -> np.ndarray:
        """The likeliest mood of each song."""
        said = self.predict_proba(paths)
        return self.classes_[said.argmax(1)]

    def __sklearn_tags__(self):
        """Inputs are names of files: one dimension, text."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _embedded(
        self, paths: list[Path], artists: Sequence[str | None]
    ) -> tuple[Corpus, SongEmbeddings]:
        model = self.model_
        report = build_cache(
            paths, sample_rate=model.sample_rate, num_decoders=self.num_decoders,
            cache_dir=None if self.cache_dir is None else Path(self.cache_dir),
        )  # fmt: skip
        if report.failures:
            lines = [f"{failure.path}: {failure.reason}" for failure in report.failures]
            raise DataError(f"{len(lines)} files cannot be used:\n  " + "\n  ".join(lines))
        entries = tuple(report.entries[path] for path in paths)
        known = [artist or e.tags.artist for artist, e in zip(artists, entries, strict=True)]
        tracks = tuple(
            Track(path=path, name=str(path), mood=model.moods[0], artist=artist)
            for path, artist in zip(paths, known, strict=True)
        )
        corpus = Corpus(
            name="paths", root=Path(), moods=model.moods, tracks=tracks, entries=entries,
            sample_rate=model.sample_rate,
        )  # fmt: skip
        seconds = self.segment_seconds
        if seconds is None:
            seconds = default(self.arch).data.segment_seconds if self.arch in OWN else 30.0
        embedded = embed_songs(
            model, corpus, range(len(paths)), name=self.arch,
            segment_samples=samples_of(seconds, model.sample_rate),
            batch_size=16, device=find_device(self.device),
            cache_dir=None if self.cache_dir is None else Path(self.cache_dir),
        )  # fmt: skip
        return corpus, embedded


def _as_paths(paths: Sequence[SongPath]) -> list[Path]:
    if isinstance(paths, str | Path):
        raise SettingError(f"{paths!r} is one path; give a list")
    found = [Path(path) for path in np.asarray(paths, dtype=object).ravel()]
    if not found:
        raise SettingError("no paths were given")
    return found


def _groups(corpus: Corpus) -> np.ndarray:
    """Of each song: its artist, or its content where nobody is named."""
    songs = zip(corpus.tracks, corpus.keys, strict=True)
    marks = [artist_names(track.artist) or [key] for track, key in songs]
    return np.array(connected(marks))
