"""A run folder: whose results it holds, and that one process at a time writes them.

A folder is known again by its settings (`config.json`) and by the content of its songs, their
labels and their split (`run.json`), wherever the songs lie and on whatever machine. A folder of a
cross-validation or a comparison is one, too; its split is the folds.
"""

import csv
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from melodai.checkpoint import BEST, LAST, load_checkpoint
from melodai.config import Config, DataConfig
from melodai.data.corpus import Corpus
from melodai.data.splits import Split, read_split, write_split
from melodai.data.tracks import listing
from melodai.errors import CheckpointError, DataError, SettingError
from melodai.files import replace_text

if os.name == "nt":
    import msvcrt
else:
    import fcntl

SETTINGS, IDENTITY, SPLIT, METRICS, LOCK = (
    "config.json", "run.json", "split.csv", "metrics.json", ".lock",
)  # fmt: skip
_LOCKED_BYTE = 1 << 20  # far behind the number of the process, which others may read


def fingerprint(corpus: Corpus, sides: Sequence[object]) -> str:
    """Sixteen digits that are the same for the same contents, moods, labels and sides of the split.

    Args:
        sides: of each song: its part, or its fold.
    """
    rows = [
        (key, track.mood, [round(share, 6) for share in track.scores or ()], str(side))
        for key, track, side in zip(corpus.keys, corpus.tracks, sides, strict=True)
    ]
    return hashlib.sha256(json.dumps([corpus.moods, sorted(rows)]).encode()).hexdigest()[:16]


@contextmanager
def claim(folder: Path, is_first: bool = True) -> Iterator[None]:
    """Makes the folder and keeps other processes from writing to it, as long as this one lives.

    Args:
        is_first: of several processes that share a run; the others need no lock.

    Raises:
        SettingError: another process writes there, or it cannot be made.
    """
    if not is_first:
        yield
        return
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise SettingError(f"{folder} cannot be written to: {error.strerror}") from error
    with file:
        if not _locks(file) or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.seek(0)
            number = file.read(20).decode("ascii", "replace").strip()
            raise SettingError(
                f"another process ({number}) trains into {folder}; wait for it, or choose another "
                "--out"
            )
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        try:
            yield
        finally:
            if list(folder.iterdir()) == [path]:  # nothing came of it
                with suppress(OSError):
                    path.unlink()
                    folder.rmdir()


def _locks(file: BinaryIO) -> bool:
    try:
        if os.name == "nt":
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def check_free(folder: Path) -> None:
    """Raises a SettingError where a folder holds a run, or the folds of one, already."""
    if any((folder / name).exists() for name in (LAST, BEST, METRICS, "fold-0")):
        raise SettingError(
            f"{folder} holds a run already; go on with --resume {folder}, or choose --out"
        )


def is_trained(folder: Path) -> bool:
    """Whether a folder holds a run that was trained to its end."""
    return (folder / METRICS).is_file()


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that was begun.

    Attributes:
        songs: fingerprint of its songs, labels and split; None in folders of earlier versions.
    """

    folder: Path
    config: Config
    songs: str | None

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """The run in a folder.

        Raises:
            CheckpointError: there is none, or its settings are damaged.
        """
        try:
            if (folder / SETTINGS).is_file():
                config = Config.from_json((folder / SETTINGS).read_text(encoding="utf-8"))
            else:  # a checkpoint alone
                config = Config.from_json(load_checkpoint(folder / BEST)["config"])
            path = folder / IDENTITY
            about = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            return cls(folder=folder, config=config, songs=about.get("songs"))
        except (SettingError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{folder} is not a run of melodai: {error}") from error

    @classmethod
    def start(cls, folder: Path, config: Config, songs: str, *, adopt: bool = False) -> "Run":
        """Begins a run, or takes up what the folder holds, if it is the same.

        Args:
            songs: `fingerprint` of its songs.
            adopt: take the word of the user that a folder of an earlier version has these songs.

        Raises:
            SettingError: the folder is of other settings or other songs, or does not say which.
        """
        run = cls(folder=folder, config=config, songs=songs)
        if (folder / SETTINGS).is_file() or any(folder.glob("*.npz")):
            there = cls.open(folder) if (folder / SETTINGS).is_file() else replace(run, songs=None)
            if there.config.hash() != config.hash():
                raise SettingError(
                    f"{folder} holds the results of other settings; choose another --out, or "
                    "remove it"
                )
            there.check(songs, adopt=adopt)
        folder.mkdir(parents=True, exist_ok=True)
        run.write()
        return run

    def check(self, songs: str, *, adopt: bool = False) -> None:
        """Checks that the songs, their labels and their split are those of the run.

        Raises:
            SettingError: they are not, or the folder does not say.
        """
        if self.songs is None and not adopt:
            raise SettingError(
                f"{self.folder} was made by an earlier melodai, which did not note its songs; if "
                "they are these, say so with --adopt, or choose another --out"
            )
        if self.songs not in (None, songs):
            raise SettingError(
                f"{self.folder} holds the results of other songs, labels or folds; choose another "
                "--out, or remove it"
            )

    def write(self, corpus: Corpus | None = None, split: Split | None = None) -> None:
        """Writes what it is known by; for a run that is trained, also which song is for what."""
        if split is not None:
            write_split(self.folder / SPLIT, corpus.tracks, corpus.keys, split)
        texts = {
            IDENTITY: json.dumps({"songs": self.songs}) + "\n",
            SETTINGS: self.config.to_json(),
        }
        for name, text in texts.items():
            path = self.folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                replace_text(path, text)

    def complete(self, metrics: dict[str, Any]) -> None:
        """Writes what the training came to."""
        replace_text(self.folder / METRICS, json.dumps(metrics, indent=2) + "\n")

    def data(self, **here: Any) -> DataConfig:
        """Where its songs are and how they are read; what is given, and not None, replaces that.

        Raises:
            DataError: they are not there any more.
        """
        given = {name: value for name, value in here.items() if value is not None}
        config = replace(self.config.data, **given)
        if gone := [path for path in config.data if not path.expanduser().exists()]:
            raise DataError(
                f"{listing(gone)}: the songs of {self.folder} are not there any more; say with "
                "--data where they are now"
            )
        return config

    def has(self, corpus: Corpus) -> bool:
        """Whether these are its songs with its labels, whatever they are called and wherever."""
        labels = sorted((row["key"], row["mood"]) for row in self._rows())
        there = zip(corpus.keys, corpus.tracks, strict=True)
        return labels == sorted((key, track.mood) for key, track in there)

    def keys(self, *parts: str) -> set[str]:
        """Contents of the songs of some parts."""
        return {row["key"] for row in self._rows() if row["part"] in parts}

    def own(self, corpus: Corpus) -> tuple[Corpus, Split]:
        """Its songs by the names and in the order that they had, and its split of them.

        Raises:
            DataError: songs were added, removed, changed or labelled anew.
        """
        rows, with_key = self._rows(), defaultdict(list)
        for index, key in enumerate(corpus.keys):
            with_key[key].append(index)
        tracks, entries, lost = [], [], []
        for row in rows:  # several data sets may have a song in common
            same = with_key[row["key"]]
            if not same:
                lost.append(row["name"])
                continue
            known = [corpus.tracks[index] for index in same]
            likeness = [(t.name == row["name"], t.mood == row["mood"]) for t in known]
            index = same.pop(likeness.index(max(likeness)))
            tracks.append(corpus.tracks[index])
            entries.append(corpus.entries[index])
        added = [corpus.tracks[index].name for same in with_key.values() for index in same]
        if lost or added:
            raise DataError(
                f"{self.folder}: the songs are not those of the run any more: "
                f"{listing([*lost, *added])}"
            )
        if anew := [
            f"{row['name']} ({row['mood']}, now {track.mood})"
            for row, track in zip(rows, tracks, strict=True)
            if row["mood"] != track.mood
        ]:
            raise DataError(f"{self.folder}: the labels are not those of the run: {listing(anew)}")
        tracks = [replace(t, name=row["name"]) for t, row in zip(tracks, rows, strict=True)]
        corpus = replace(corpus, tracks=tuple(tracks), entries=tuple(entries))
        return corpus, read_split(self.folder / SPLIT, corpus.tracks, corpus.keys)

    def _rows(self) -> list[dict[str, str]]:
        path = self.folder / SPLIT
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            return [{name: row[name] for name in ("name", "mood", "part", "key")} for row in rows]
        except FileNotFoundError as error:
            raise CheckpointError(
                f"there is no {path}, so it is not known which songs are for what"
            ) from error
        except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path} is not the split of a run: {error}") from error


def part_sides(corpus: Corpus, split: Split) -> list[str | None]:
    """Part of each song, for `fingerprint`."""
    parts = split.part_of()
    return [parts.get(index) for index in range(len(corpus.tracks))]
