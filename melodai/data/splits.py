"""Train, validation and test parts that share no song, artist or content."""

import csv
import io
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melodai.data.artists import artist_key
from melodai.data.grouping import draw_validation, group_of, large_group, make_folds, marks
from melodai.data.tracks import Track, listing
from melodai.errors import DataError, SettingError
from melodai.files import replace_text

logger = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Track indices of each part.

    Attributes:
        fold: the fold that is the test part; None where the data gives the parts.
        source: where the parts come from: "given parts", "given folds" or "made folds".
        folds: fold of each track, None where there are none.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    fold: int | None
    source: str
    folds: tuple[int | None, ...] = ()

    def part_of(self) -> dict[int, str]:
        """Part of each track index."""
        return {index: part for part in PARTS for index in getattr(self, part)}


def make_split(
    tracks: Sequence[Track],
    keys: Sequence[str],
    *,
    fold: int,
    num_folds: int,
    validation_fraction: float,
    seed: int = 0,
    all_songs: bool = False,
) -> Split:
    """Splits by artist where known and by song elsewhere, keeping the shares of the moods.

    Parts that the data gives are used as they are. Of folds that it gives (or, without any, of
    `num_folds` made here from the seed) number `fold` is the test part, and validation is drawn
    from the rest.

    Args:
        keys: content of each track's file.
        validation_fraction: of the songs outside the test part.
        all_songs: there is no test part.

    Raises:
        DataError: a song, artist or content would stand on two sides, or a mood has no songs left
            to learn from.
        SettingError: there is no such fold, or there are fewer artists than folds.
    """
    groups = group_of(tracks, keys)
    if text := large_group(tracks, groups):
        logger.warning("%s", text)
    if all_songs:
        split = _without_test(tracks, groups, validation_fraction, seed)
    elif all(track.part for track in tracks):
        split = _given_parts(tracks, groups, fold, validation_fraction, seed)
    else:
        is_given = all(track.fold is not None for track in tracks)
        folds = _folds(tracks, groups, num_folds, seed)
        available = sorted(set(folds))
        if fold not in available:
            raise SettingError(f"--fold is {fold}; the folds are {listing(available, 20)}")
        test = [index for index, of_track in enumerate(folds) if of_track == fold]
        rest = _without_tested(tracks, groups, folds, fold)
        validation = draw_validation(tracks, groups, rest, validation_fraction, seed)
        split = Split(
            train=tuple(index for index in rest if index not in validation),
            validation=tuple(sorted(validation)),
            test=tuple(test),
            fold=fold,
            source="given folds" if is_given else "made folds",
            folds=folds,
        )
    check_no_leak(tracks, keys, split)
    _check_moods(tracks, split)
    return split


def _folds(
    tracks: Sequence[Track], groups: Sequence[int], num_folds: int, seed: int
) -> tuple[int, ...]:
    """Fold of each track: the given ones of a data set, or those made of it."""
    folds = [0] * len(tracks)
    for name in dict.fromkeys(track.data for track in tracks):
        members = [index for index, track in enumerate(tracks) if track.data == name]
        own = [tracks[index] for index in members]
        given: Sequence[int | None] = [track.fold for track in own]
        if None in given:
            given = make_folds(own, [groups[index] for index in members], num_folds, seed)
        for index, fold in zip(members, given, strict=True):
            folds[index] = fold
    return tuple(folds)


def _without_tested(
    tracks: Sequence[Track], groups: Sequence[int], folds: Sequence[int], fold: int
) -> list[int]:
    """The songs of other folds, without those that a test song of another data set belongs to."""
    tested = defaultdict(set)
    for track, group, of_track in zip(tracks, groups, folds, strict=True):
        if of_track == fold:
            tested[group].add(track.data)
    others = [index for index, of_track in enumerate(folds) if of_track != fold]
    rest = [index for index in others if not tested[groups[index]] - {tracks[index].data}]
    if len(rest) < len(others):
        logger.warning(
            "%d songs are used for nothing: another data set tests on their artists or on copies "
            "of them in fold %d", len(others) - len(rest), fold,
        )  # fmt: skip
    return rest


def _without_test(
    tracks: Sequence[Track], groups: Sequence[int], fraction: float, seed: int
) -> Split:
    everything = range(len(tracks))
    validation = draw_validation(tracks, groups, everything, fraction, seed)
    return Split(
        train=tuple(index for index in everything if index not in validation),
        validation=tuple(sorted(validation)),
        test=(),
        fold=None,
        source="all songs",
    )


def _given_parts(
    tracks: Sequence[Track], groups: Sequence[int], fold: int, fraction: float, seed: int
) -> Split:
    if fold != 0:
        raise SettingError(f"--fold is {fold}, but the data gives train and test parts, not folds")
    parts = {
        part: [index for index, track in enumerate(tracks) if track.part == part] for part in PARTS
    }
    validation = set(parts["validation"]) or draw_validation(
        tracks, groups, parts["train"], fraction, seed
    )
    return Split(
        train=tuple(index for index in parts["train"] if index not in validation),
        validation=tuple(sorted(validation)),
        test=tuple(parts["test"]),
        fold=None,
        source="given parts",
    )


def check_no_leak(tracks: Sequence[Track], keys: Sequence[str], split: Split) -> None:
    """Checks that each track is in one part and that the parts have nothing in common.

    What may be a coincidence is warned of: a guest, a name in a longer one, an album.

    Raises:
        DataError: a song, artist or content stands on two sides; the message names them.
    """
    used = [index for part in PARTS for index in getattr(split, part)]
    if len(set(used)) != len(used):
        twice = [tracks[index].name for index, count in Counter(used).items() if count > 1]
        raise DataError(f"songs in two parts of the split: {listing(twice)}")
    part_of = split.part_of()
    sharing = defaultdict(list)
    for index in part_of:
        for mark in marks(tracks[index], keys[index]):
            sharing[mark].append(index)
    leaks, doubts = [], []
    for (kind, value), indices in sharing.items():
        parts = {part_of[index] for index in indices}
        if len(parts) > 1:
            songs = f"{kind} ({listing((tracks[index].name for index in indices), 4)})"
            who = f"artist {value!r}" if kind == "artist" else f"one {songs}"
            text = f"{who} in {' and '.join(part for part in PARTS if part in parts)}"
            same = {part_of[i] for i in indices if artist_key(tracks[i].artist) == value}
            is_sure = kind in ("song", "content") or (kind == "artist" and len(same) > 1)
            (leaks if is_sure else doubts).append(text)
    if doubts:
        logger.warning("the given split may leak: %s", listing(doubts))
    if leaks:
        raise DataError(
            f"the split leaks, a score on it would mean nothing: {listing(leaks)}. "
            "Correct the folds or parts of the data, or leave them out"
        )


def _check_moods(tracks: Sequence[Track], split: Split) -> None:
    for part in PARTS:
        members = {tracks[index].mood for index in getattr(split, part)}
        missing = ", ".join(sorted({track.mood for track in tracks} - members))
        if missing and part == "train":
            raise DataError(
                f"no song of {missing} is left to learn from: all are by artists in the test or "
                "validation part. Add songs of other artists, or choose another --fold"
            )
        if missing and members:
            logger.warning("the %s part has no song of %s", part, missing)


def write_split(path: Path, tracks: Sequence[Track], keys: Sequence[str], split: Split) -> None:
    """Writes a row a track: name, mood, artist, fold, part and the key of its content."""
    parts = split.part_of()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "mood", "artist", "fold", "part", "key"))
    for index, (track, key) in enumerate(zip(tracks, keys, strict=True)):
        fold = split.folds[index] if split.folds else None
        row = (track.name, track.mood, track.artist, fold, parts.get(index), key)
        writer.writerow(["" if value is None else value for value in row])
    replace_text(path, text.getvalue())


def read_split(path: Path, tracks: Sequence[Track], keys: Sequence[str]) -> Split:
    """The split that `write_split` wrote, for the same songs.

    Raises:
        DataError: the file is damaged, or songs were added, removed or changed since.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
        written = {name: (row["key"], row["part"], row["fold"]) for name, row in rows.items()}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not the split of a run: {error}") from error
    now = {track.name: key for track, key in zip(tracks, keys, strict=True)}
    changed = [
        name for name in {**now, **written} if now.get(name) != written.get(name, (None,))[0]
    ]
    if changed:
        raise DataError(f"{path}: the songs are not those of the run any more: {listing(changed)}")
    parts = defaultdict(list)
    for index, track in enumerate(tracks):
        parts[written[track.name][1]].append(index)
    folds = tuple(int(f) if (f := written[track.name][2]) else None for track in tracks)
    test_folds = {folds[index] for index in parts["test"]} - {None}
    return Split(
        train=tuple(parts["train"]),
        validation=tuple(parts["validation"]),
        test=tuple(parts["test"]),
        fold=min(test_folds) if test_folds else None,
        source=path.name,
        folds=folds if any(f is not None for f in folds) else (),
    )
