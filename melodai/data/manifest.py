"""A CSV file with a row a song.

Columns, in any order and case: `file` (relative to the CSV), `mood`, and where known `artist`,
`album`, `title`, `genre`, `votes`, `fold` (a number), `split` (train, validation, test), and a soft
label as one column for each mood of a taxonomy (`energetic`, `peaceful`, `emotional`, or the five).
Where a song comes from (`licence`, `url`, `sha256`) may stand there too.
"""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

from melodai.data.folders import unknown_moods
from melodai.data.tracks import Library, Track, listing, relative_name
from melodai.errors import DataError
from melodai.labels import FIVE_TO_THREE, TAXONOMIES, moods_of, to_taxonomy

_ALIASES = {"path": "file", "filename": "file", "part": "split", "num_votes": "votes"}
_TEXTS = ("artist", "album", "title", "genre")
_ORIGIN = ("licence", "license", "url", "sha256", "source_sha256")  # for people, not for training
_PARTS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


class _RowError(Exception):
    """What is wrong with a row."""


def read_manifest(path: Path, taxonomy: str) -> Library:
    """Reads the songs a CSV file lists.

    Comma, semicolon or tab; UTF-8 with or without a byte order mark.

    Raises:
        DataError: the file or some rows cannot be used; the message gives their numbers.
    """
    columns, rows = read_rows(path)
    kinds = _score_columns(path, columns, taxonomy)
    if "file" not in columns or ("mood" not in columns and not kinds):
        raise DataError(
            f"{path}: the columns file and mood are needed (found: {', '.join(columns)})"
        )
    tracks: dict[Path, Track] = {}
    problems, warnings = [], []
    for number, row in rows:
        try:
            track = _track(row, path.parent, taxonomy, kinds)
            earlier = tracks.setdefault(track.path, track)
            if earlier is not track:
                if replace(earlier, scores=None) != replace(track, scores=None):
                    raise _RowError(f"{track.name} is listed before, with other values")
                warnings.append(f"row {number}: {track.name} is listed twice")
        except _RowError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise DataError(f"{path}: {listing(problems, most=5, separator='; ')}")
    if not tracks:
        raise DataError(f"{path}: it lists no songs")
    for name in ("fold", "part"):
        missing = [t.name for t in tracks.values() if getattr(t, name) is None]
        if 0 < len(missing) < len(tracks):
            raise DataError(f"{path}: some songs have a {name}, but not {listing(missing)}")
    known = {"file", "mood", "fold", "split", "votes", *_TEXTS, *_ORIGIN}
    known |= set(sum(TAXONOMIES.values(), ()))
    if unused := [name for name in columns if name not in known]:
        warnings.append(f"columns that are not used: {', '.join(unused)}")
    return Library(
        name=path.stem,
        root=path.parent,
        moods=moods_of(taxonomy),
        tracks=tuple(tracks.values()),
        warnings=tuple(warnings),
    )


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV file, names lower-case, all without surrounding spaces.

    Raises:
        DataError: it cannot be read, or has no header.
    """
    columns, rows = read_rows(path)
    return columns, [row for _, row in rows]


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The same, with the number of the line on which each row begins (the header is on line 1)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; save it as 'CSV UTF-8'") from error
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines, start = [], 1
        for line in reader:
            lines.append((start, line))
            start = reader.line_num + 1  # a quoted value may have lines of its own
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}") from error
    if not lines:
        raise DataError(f"{path} is empty")
    names = [name.strip().casefold() for name in lines[0][1]]
    columns = [_ALIASES.get(name, name) for name in names]
    if doubled := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise DataError(f"{path}: column {', '.join(doubled)} stands there twice")
    rows = []
    for start, line in lines[1:]:
        if any(line):
            values = [value.strip() for value in line] + [""] * len(columns)
            rows.append((start, dict(zip(columns, values, strict=False))))
    return columns, rows


def _score_columns(path: Path, columns: list[str], taxonomy: str) -> tuple[str, ...]:
    """The soft-label columns to read: the moods of the taxonomy, or the five that merge to it."""
    for moods in (moods_of(taxonomy), *([TAXONOMIES["five"]] if taxonomy == "three" else [])):
        if missing := [mood for mood in moods if mood not in columns]:
            if len(missing) < len(moods):
                raise DataError(f"{path}: the soft labels lack a column {', '.join(missing)}")
            continue
        return tuple(moods)
    return ()


def _track(row: dict[str, str], root: Path, taxonomy: str, kinds: tuple[str, ...]) -> Track:
    if not row["file"]:
        raise _RowError("no file")
    path = root / row["file"]
    if "\\" in row["file"] and not path.exists():
        path = root / row["file"].replace("\\", "/")
    scores = _scores(row, taxonomy, kinds)
    mood = to_taxonomy(row.get("mood", ""), taxonomy)
    if row.get("mood") and mood is None:
        raise _RowError(unknown_moods([row["mood"]], taxonomy))
    if mood is None:
        if scores is None:
            raise _RowError("no mood")
        mood = moods_of(taxonomy)[max(range(len(scores)), key=scores.__getitem__)]
    part = row.get("split") or None
    if part and part.casefold() not in _PARTS:
        raise _RowError(f"split {part!r} is none of train, validation, test")
    return Track(
        path=path,
        mood=mood,
        name=relative_name(path, root),
        scores=scores,
        num_votes=_whole_number(row, "votes"),
        fold=_whole_number(row, "fold"),
        part=_PARTS[part.casefold()] if part else None,
        **{name: row.get(name) or None for name in _TEXTS},
    )


def _whole_number(row: dict[str, str], name: str) -> int | None:
    text = row.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise _RowError(f"{name} {text!r} is not a whole number")
    return int(text)


def _scores(row: dict[str, str], taxonomy: str, kinds: tuple[str, ...]) -> tuple[float, ...] | None:
    """Shares of the moods, those of the five merged by their sum."""
    texts = [row.get(kind, "") for kind in kinds]
    if not any(texts):
        return None
    try:
        values = [float(text) for text in texts]
    except ValueError:
        raise _RowError(f"soft label {listing(texts)}: a number for each is needed") from None
    if not all(math.isfinite(value) and value >= 0 for value in values) or sum(values) <= 0:
        raise _RowError(f"soft label {listing(texts)}: shares of 0 or more are needed")
    merged = dict.fromkeys(moods_of(taxonomy), 0.0)
    for kind, value in zip(kinds, values, strict=True):
        merged[kind if kind in merged else FIVE_TO_THREE[kind]] += value
    return tuple(value / sum(values) for value in merged.values())
