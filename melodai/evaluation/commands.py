"""What the commands about a data set do: its human ceiling, its leaks, and how its moods sound."""

import csv
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from melodai.config import DataConfig, FrontEndConfig
from melodai.data.artists import artist_groups
from melodai.data.cache import build_cache, default_cache_dir
from melodai.data.corpus import prepare
from melodai.data.library import read_library
from melodai.data.store import CachedTrack
from melodai.data.tracks import Library, Track
from melodai.data.waveforms import fill
from melodai.errors import DataError
from melodai.evaluation import sound_figures
from melodai.evaluation.against_half import AgainstHalf, Halves, against_half
from melodai.evaluation.audit import Audit, audit_songs
from melodai.evaluation.ceiling import (
    NUM_REPETITIONS,
    Ceiling,
    one_against_rest,
    resample_listeners,
    shortcuts,
    split_halves,
)
from melodai.evaluation.features import FEATURES, library_features
from melodai.evaluation.figures import save_figure
from melodai.evaluation.intervals import NUM_RESAMPLES
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.separation import Separation, measure_separation
from melodai.evaluation.summary import write_json
from melodai.evaluation.votes import has_votes, read_votes
from melodai.transforms.filter_bank import mel_edges
from melodai.transforms.mel import LogMel

OnProgress = Callable[[int, int], None]


def run_ceiling(
    data: Path,
    *,
    moods: str = DataConfig.moods,
    num_repetitions: int = NUM_REPETITIONS,
    seed: int = 0,
    json: Path | None = None,
) -> Ceiling:
    """`melodai-ceiling DATA`: how far listeners agree, and what shortcuts reach.

    Raises:
        DataError: the data cannot be read.
    """
    library = read_library(DataConfig(data=data, moods=moods))
    ceiling = measure_ceiling(
        library,
        random=np.random.default_rng(seed),
        num_repetitions=num_repetitions,
    )
    if json is not None:
        write_json(ceiling, json)
    return ceiling


def measure_ceiling(
    library: Library,
    *,
    random: np.random.Generator,
    num_repetitions: int = NUM_REPETITIONS,
    scored: Collection[str] | None = None,
) -> Ceiling:
    """The ceiling of a library; shortcuts are learnt on its folds, without any by artist.

    Args:
        scored: names of the songs that are scored, all if None; shortcuts are learnt from all.
    """
    tracks = library.tracks
    is_scored = np.array([scored is None or track.name in scored for track in tracks])
    votes = None
    if has_votes(library.root, library.moods):
        names = [track.name for track in tracks]
        votes = read_votes(library.root).of(
            [name for name, counts in zip(names, is_scored, strict=True) if counts]
        )
    artists = np.array(artist_groups([track.artist for track in tracks]))
    genres = _codes([track.genre or "" for track in tracks])
    known = np.array([track.genre is not None for track in tracks])
    folds = [track.fold for track in tracks]
    return Ceiling(
        data=library.name,
        moods=library.moods,
        num_tracks=int(is_scored.sum()),
        num_votes=0 if votes is None else len(votes.songs),
        halves=votes and split_halves(votes, library.moods, random, num_repetitions),
        resampled=votes and resample_listeners(votes, library.moods, random, num_repetitions),
        one_listener=votes and one_against_rest(votes, library.moods),
        shortcuts=shortcuts(
            np.array([library.moods.index(track.mood) for track in tracks]),
            len(library.moods),
            folds=artists if None in folds else np.array(folds),
            artists=artists,
            genres=np.where(known, genres, -1),
            scored=is_scored,
        ),
    )


def hold_against_half(
    predictions: Path, data: Path, num_repetitions: int = NUM_REPETITIONS, seed: int = 0
) -> AgainstHalf:
    """Stored predictions and one half of the listeners, each against the other half.

    Raises:
        DataError: no predictions, or songs without votes.
    """
    said = Predictions.load(predictions)
    random = np.random.default_rng(seed)
    votes = read_votes(data).of(said.names.tolist())
    return against_half(said, Halves.of(votes, said.moods, random, num_repetitions), random=random)


def run_audit(
    data: Path | Sequence[Path] | None,
    *,
    moods: str = DataConfig.moods,
    split: Path | None = None,
    cache_dir: Path | None = None,
    num_decoders: int | None = None,
    json: Path | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> Audit:
    """`melodai-audit DATA`: recordings under two names, artists of two spellings, what they cross.

    Args:
        split: the split.csv of a run, whose parts are looked at in place of the data's folds.

    Raises:
        DataError: the data or the split cannot be read, or no song can be decoded.
    """
    library = read_library(DataConfig(data=data, moods=moods))
    songs = _decoded(library, cache_dir, num_decoders)
    entries = [entry for _, entry in songs]
    audit = audit_songs(
        library.name,
        {track.name: track.artist for track, _ in songs},
        _parts([track for track, _ in songs]) if split is None else _parts_of_run(split),
        lambda index: entries[index].read(),
        FrontEndConfig.sample_rate,
        on_progress=on_progress,
    )
    if json is not None:
        write_json(audit, json)
    return audit


@dataclass(frozen=True, kw_only=True)
class SoundStudy:
    """How the moods of a data set sound: separation by the names of the moods, files written."""

    separation: dict[str, Separation]
    files: tuple[Path, ...]


def run_sound_study(
    data: Path | Sequence[Path] | None,
    out: Path,
    *,
    moods: str = DataConfig.moods,
    segment_seconds: float = DataConfig.segment_seconds,
    cache_dir: Path | None = None,
    num_workers: int = 1,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total: None,
) -> SoundStudy:
    """Mean spectrograms, acoustic features and separation of the moods, as figures and tables.

    Writes spectrograms.png, features_boxes.png, features_distributions.png, features.csv and
    separation.json into `out`.

    Raises:
        DataError: the data cannot be read.
    """
    config = DataConfig(data=data, moods=moods, cache_dir=cache_dir)
    corpus = prepare(config, FrontEndConfig.sample_rate)
    about = f"{corpus.name}, all songs, n = {len(corpus.tracks)}"
    labels = np.array(corpus.classes)
    features = library_features(
        [(entry.key, entry.path) for entry in corpus.entries],
        corpus.sample_rate,
        cache_dir or default_cache_dir(),
        num_workers=num_workers,
        on_progress=on_progress,
    )
    artists = np.array(artist_groups([track.artist for track in corpus.tracks]))
    separation = measure_separation(
        features,
        labels,
        artists,
        corpus.moods,
        random=np.random.default_rng(seed),
        num_resamples=num_resamples,
    )
    figures = {
        "spectrograms.png": _spectrograms(
            corpus.entries, labels, corpus.moods, segment_seconds, about
        ),
        "features_boxes.png": sound_figures.feature_figure(
            features, labels, corpus.moods, about, separation
        ),
        "features_distributions.png": sound_figures.feature_figure(
            features, labels, corpus.moods, about, separation, boxes=False
        ),
    }
    for name, figure in figures.items():
        save_figure(figure, out / name)
    write_json(separation, out / "separation.json")
    with (out / "features.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "mood", *FEATURES])
        for track, row in zip(corpus.tracks, features, strict=True):
            writer.writerow([track.name, track.mood, *(f"{value:.6g}" for value in row)])
    names = (*figures, "separation.json", "features.csv")
    return SoundStudy(separation=separation, files=tuple(out / name for name in names))


def _spectrograms(
    entries: tuple[CachedTrack, ...],
    labels: np.ndarray,
    moods: tuple[str, ...],
    seconds: float,
    about: str,
):
    front_end = LogMel()
    pictures = sound_figures.MeanSpectrograms(len(moods))
    samples = np.empty(round(seconds * front_end.sample_rate), dtype=np.int16)
    for entry, mood in zip(entries, labels, strict=True):
        fill(samples, entry, max(0, (entry.num_samples - len(samples)) // 2))
        waveform = torch.from_numpy(samples.astype(np.float32) / 32768)
        pictures.add(front_end.decibels(waveform[None])[0], mood)
    centres = mel_edges(front_end.n_mels, FrontEndConfig.f_min, FrontEndConfig.f_max)[1:-1]
    return sound_figures.spectrogram_figure(
        pictures, moods, centres, seconds, f"{about}, the middle {seconds:g} s of each"
    )


def _decoded(
    library: Library, cache_dir: Path | None, num_decoders: int | None
) -> list[tuple[Track, CachedTrack]]:
    """Songs that can be decoded, artists filled in from tags; copies stay, they are looked for."""
    report = build_cache(
        [track.path for track in library.tracks],
        sample_rate=FrontEndConfig.sample_rate,
        cache_dir=cache_dir,
        num_decoders=num_decoders,
    )
    songs = [
        (replace(track, artist=track.artist or entry.tags.artist), entry)
        for track in library.tracks
        if (entry := report.entries.get(track.path)) is not None
    ]
    if not songs:
        raise DataError(f"{library.root}: none of the files can be used")
    return songs


def _parts(tracks: list[Track]) -> dict[str, str]:
    named = {track.name: track.part for track in tracks if track.part}
    return named or {track.name: f"fold {track.fold}" for track in tracks if track.fold is not None}


def _parts_of_run(split: Path) -> dict[str, str]:
    try:
        with split.open(encoding="utf-8", newline="") as file:
            return {row["name"]: row["part"] for row in csv.DictReader(file) if row["part"]}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{split} is not the split of a run: {error}") from error


def _codes(values: list[str]) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]
