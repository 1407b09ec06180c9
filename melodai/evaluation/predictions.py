"""Stored predictions: what a run said about each segment and song, and what is true of them.

Every score, interval, figure and report comes from these records, never from a model at hand.
"""

import csv
import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from melodai.data.artists import artist_groups
from melodai.errors import DataError
from melodai.metrics import at_temperature, pool_by_track, softmax

FILE_NAME = "predictions.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Predictions of one run, or of several runs on different songs (`join`).

    Arrays of tracks: names, artists, genres, paths (text, "" if unknown), sets (name of the data
    set of each, "" where there is one), labels (int64),
    soft (track, class; NaN without votes), probabilities (track, class; pooled from the segments,
    not calibrated), temperatures and segment_temperatures (fitted on validation; 1 if not).
    Arrays of segments: logits (segment, class), tracks (int64 index of the segment's song),
    starts_seconds, lengths_seconds.
    """

    data: str  # name of the data set
    split: str  # the part of it: "test", "validation", "all"
    moods: tuple[str, ...]
    names: np.ndarray
    artists: np.ndarray
    genres: np.ndarray
    paths: np.ndarray
    sets: np.ndarray
    labels: np.ndarray
    soft: np.ndarray
    logits: np.ndarray
    tracks: np.ndarray
    starts_seconds: np.ndarray
    lengths_seconds: np.ndarray
    probabilities: np.ndarray
    temperatures: np.ndarray
    segment_temperatures: np.ndarray
    pooling: str = "mean"
    provenance: dict[str, str] = field(default_factory=dict)  # run, commit, config hash, seed, ...

    @property
    def num_tracks(self) -> int:
        """Number of songs."""
        return len(self.names)

    @property
    def clusters(self) -> np.ndarray:
        """(track,) index of each song's artists: songs that share one have the same; unknown ones
        have their own."""
        return np.unique(artist_groups(self.artists.tolist()), return_inverse=True)[1]

    @property
    def segment_probabilities(self) -> np.ndarray:
        """(segment, class), not calibrated."""
        return softmax(self.logits)

    @property
    def calibrated(self) -> np.ndarray:
        """(track, class) probabilities after temperature scaling."""
        return at_temperature(self.probabilities, self.temperatures[:, None])

    @property
    def calibrated_segments(self) -> np.ndarray:
        """(segment, class) probabilities after temperature scaling."""
        return softmax(self.logits / self.segment_temperatures[self.tracks, None])

    def by_set(self) -> "dict[str, Predictions]":
        """Those of each data set; nothing where there is one."""
        names = sorted(set(self.sets.tolist()) - {""})
        return {name: self.take(np.flatnonzero(self.sets == name)) for name in names}

    def pooled_by(self, pooling: str) -> "Predictions":
        """The same with another pooling of segments into songs."""
        pooled = pool_by_track(self.segment_probabilities, self.tracks, self.num_tracks, pooling)
        return replace(self, pooling=pooling, probabilities=pooled)

    def at_temperatures(self, track: float, segment: float) -> "Predictions":
        """The same with temperatures for the songs' and the segments' probabilities."""
        ones = np.ones(self.num_tracks)
        return replace(self, temperatures=track * ones, segment_temperatures=segment * ones)

    def take(self, rows: np.ndarray) -> "Predictions":
        """Only the given songs, in the given order, with their segments."""
        rows = np.asarray(rows)
        place = np.full(self.num_tracks, -1)
        place[rows] = np.arange(len(rows))
        kept = place[self.tracks] >= 0
        values = {name: getattr(self, name)[rows] for name in TRACK_ARRAYS}
        values |= {name: getattr(self, name)[kept] for name in SEGMENT_ARRAYS}
        values["tracks"] = place[self.tracks[kept]]
        return replace(self, **values)

    def save(self, path: Path) -> None:
        """Writes the record as .npz (no pickled objects), replacing an older one in one step."""
        values = {name: getattr(self, name) for name in TRACK_ARRAYS + SEGMENT_ARRAYS}
        about = {
            "data": self.data,
            "split": self.split,
            "moods": list(self.moods),
            "pooling": self.pooling,
            "provenance": self.provenance,
        }
        unfinished = path.with_name(path.name + ".part")
        with unfinished.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **values)
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Reads what `save` wrote.

        Raises:
            DataError: the file is missing or is not such a record.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                names = [name for name in TRACK_ARRAYS + SEGMENT_ARRAYS if name != "sets"]
                values = {name: file[name] for name in names}
                # Older records are of one data set.
                values["sets"] = (
                    file["sets"] if "sets" in file else _text([""] * len(file["names"]))
                )
                about = json.loads(str(file["about"]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(
                f"{path} holds no predictions ({error}); melodai-evaluate writes them"
            ) from error
        return cls(**values, **(about | {"moods": tuple(about["moods"])}))

    def write_csv(self, path: Path) -> None:
        """Writes a table for people: one row a song, the calibrated probabilities in columns."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "artist", "mood", "predicted", *self.moods])
            for row, probabilities in enumerate(self.calibrated):
                shares = [f"{share:.4f}" for share in probabilities]
                said = self.moods[probabilities.argmax()]
                mood = self.moods[self.labels[row]]
                writer.writerow([self.names[row], self.artists[row], mood, said, *shares])


SEGMENT_ARRAYS = ("logits", "tracks", "starts_seconds", "lengths_seconds")
TRACK_ARRAYS = tuple(
    item.name
    for item in fields(Predictions)
    if item.type is np.ndarray and item.name not in SEGMENT_ARRAYS
)


def make_predictions(
    *,
    data: str,
    split: str,
    moods: tuple[str, ...],
    names: list[str],
    labels: np.ndarray,
    logits: np.ndarray,
    tracks: np.ndarray,
    starts_seconds: np.ndarray,
    lengths_seconds: np.ndarray,
    artists: list[str | None] | None = None,
    genres: list[str | None] | None = None,
    paths: list[Path] | None = None,
    sets: list[str] | None = None,
    soft: list[tuple[float, ...] | None] | None = None,
    provenance: dict[str, str] | None = None,
) -> Predictions:
    """A record from what a run gives: pooled by the mean, temperatures 1.

    Args:
        logits: (segment, class); for a model that gives probabilities, their logarithms.
        tracks: (segment,) index into `names`; every song needs a segment.
        soft: vote shares of each song, None where nobody voted.

    Raises:
        DataError: a song without segments, or values that are not finite.
    """
    num_tracks, num_moods = len(names), len(moods)
    logits = np.asarray(logits, dtype=np.float64).reshape(-1, num_moods)
    tracks = np.asarray(tracks, dtype=np.int64)
    without = np.setdiff1d(np.arange(num_tracks), tracks)
    if len(without):
        raise DataError(f"{len(without)} songs have no segment, the first is {names[without[0]]}")
    if not np.isfinite(logits).all():
        name = names[tracks[~np.isfinite(logits).all(axis=1)][0]]
        raise DataError(f"the prediction for {name} is not a finite number")
    nobody = (np.nan,) * num_moods
    shares = [nobody if votes is None else votes for votes in soft or [None] * num_tracks]
    return Predictions(
        data=data,
        split=split,
        moods=tuple(moods),
        names=_text(names),
        artists=_text(artists or [None] * num_tracks),
        genres=_text(genres or [None] * num_tracks),
        paths=_text(paths or [None] * num_tracks),
        sets=_text(sets or [None] * num_tracks),
        labels=np.asarray(labels, dtype=np.int64),
        soft=np.asarray(shares, dtype=np.float64).reshape(num_tracks, num_moods),
        logits=logits,
        tracks=tracks,
        starts_seconds=np.asarray(starts_seconds, dtype=np.float64),
        lengths_seconds=np.asarray(lengths_seconds, dtype=np.float64),
        probabilities=pool_by_track(softmax(logits), tracks, num_tracks),
        temperatures=np.ones(num_tracks),
        segment_temperatures=np.ones(num_tracks),
        provenance=provenance or {},
    )


def join(records: list[Predictions]) -> Predictions:
    """One record of the songs of several, as of the folds of a cross-validation.

    Each song keeps the pooling and the temperature of its own run.

    Raises:
        DataError: the moods differ, or a song is in two of the records.
    """
    first = records[0]
    if any(record.moods != first.moods for record in records):
        raise DataError("the predictions have different moods and cannot be put together")
    values = {
        name: np.concatenate([getattr(record, name) for record in records])
        for name in TRACK_ARRAYS + SEGMENT_ARRAYS
    }
    offsets = np.cumsum([0] + [record.num_tracks for record in records[:-1]])
    values["tracks"] = np.concatenate(
        [record.tracks + offset for record, offset in zip(records, offsets, strict=True)]
    )
    names, counts = np.unique(values["names"], return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{names[counts > 1][0]} is in more than one of the predictions")
    pooling = "+".join(dict.fromkeys(record.pooling for record in records))
    return replace(first, **values, pooling=pooling)


def align(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions]:
    """Both records on the songs that they share, in the same order.

    Raises:
        DataError: no song in common, or different moods or labels.
    """
    names, rows, others = np.intersect1d(one.names, other.names, return_indices=True)
    if not len(names):
        raise DataError("the two runs have no song in common")
    one, other = one.take(rows), other.take(others)
    if one.moods != other.moods or not np.array_equal(one.labels, other.labels):
        raise DataError("the two runs were evaluated with different moods or labels")
    return one, other


def _text(values: list) -> np.ndarray:
    return np.array(["" if value is None else str(value) for value in values], dtype=np.str_)
