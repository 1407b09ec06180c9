"""A CSV file with a row a song.

Columns, in any order and case: `file` (relative to the CSV, or else to the working folder;
addresses and paths of Windows are understood), `mood`, and where known `artist`,
`album`, `title`, `genre`, `votes`, `fold` (a number), `split` (train, validation, test), and a soft
label as one column of shares for each mood.
Where a song comes from (`licence`, `url`, `sha256`) may stand there too.
"""

import csv
import io
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from melodai.data.tracks import PART_NAMES, Library, Track, listing, relative_name
from melodai.data.written_paths import FileFinder, as_text
from melodai.errors import DataError
from melodai.labels import SETS, distinct, mood_key

_ALIASES = {"path": "file", "filename": "file", "part": "split", "num_votes": "votes",
            "albumartist": "album_artist", "album artist": "album_artist"}  # fmt: skip
_TEXTS = ("artist", "album_artist", "album", "title", "genre")
_ORIGIN = ("licence", "license", "url", "sha256", "source_sha256")  # for people, not for training
_KNOWN = {"file", "mood", "fold", "split", "votes", *_TEXTS, *_ORIGIN}
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?\s*\n', re.IGNORECASE)  # as Excel writes it


class _RowError(Exception):
    """What is wrong with a row."""


def read_manifest(path: Path, wanted: Sequence[str] | None) -> Library:
    """Reads the songs a CSV file lists.

    Comma, semicolon or tab; UTF-8, UTF-16 or the code page of Windows (1252). A song without a
    mood has "" in its place and shares of the moods.

    Raises:
        DataError: the file or some rows cannot be used; the message gives their numbers.
    """
    columns, rows = read_rows(path)
    labels = distinct(row.get("mood", "") for _, row in rows)
    kinds = _score_columns(path, columns, labels, wanted)
    moods = distinct((*kinds.values(), *labels))
    if "file" not in columns or ("mood" not in columns and not kinds):
        raise DataError(
            f"{path}: the columns file and mood are needed (found: {', '.join(columns)})"
        )
    find, tracks = FileFinder([path.parent, Path.cwd()]), {}
    problems, warnings = [], []
    for number, row in rows:
        try:
            track = _track(row, path.parent, find, kinds, len(moods))
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
    known = {*_KNOWN, *kinds, *(mood_key(mood) for moods in SETS.values() for mood in moods)}
    if unused := [name for name in columns if name not in known]:
        warnings.append(f"columns that are not used: {', '.join(unused)}")
    return Library(
        name=path.stem,
        root=path.parent,
        moods=moods,
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
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = as_text(content, "strict")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    separator = _SEPARATOR.match(text)
    text = text[separator.end() :] if separator else text
    header = text.partition("\n")[0]
    delimiter = separator[1] if separator else max(",;\t", key=header.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        first = 2 if separator else 1
        lines, start = [], first
        for line in reader:
            lines.append((start, line))
            start = reader.line_num + first  # a quoted value may have lines of its own
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


def _score_columns(
    path: Path, columns: Sequence[str], labels: Sequence[str], wanted: Sequence[str] | None
) -> dict[str, str]:
    """The columns of the soft label and their moods.

    Those that are wanted, else those of a known set, else of all labels; of the first that are all
    there.
    """
    by_key = {mood_key(name): name for name in columns if name not in _KNOWN}
    own = (*(wanted or ()), *labels)
    lacking = None
    for moods in ([wanted] if wanted in SETS.values() else []) + [*SETS.values(), distinct(own)]:
        missing = [mood for mood in moods if mood_key(mood) not in by_key]
        if moods and not missing:
            return {by_key[mood_key(mood)]: mood for mood in moods}
        if len(missing) < len(moods):
            lacking = lacking or missing
    if lacking:
        raise DataError(f"{path}: the soft labels lack a column {', '.join(lacking)}")
    return {}


def _track(
    row: dict[str, str], root: Path, find: FileFinder, kinds: Collection[str], num_moods: int
) -> Track:
    if not row["file"]:
        raise _RowError("no file")
    path = find(row["file"])
    scores, mood = _scores(row, kinds, num_moods), row.get("mood", "")
    if not mood and scores is None:
        raise _RowError("no mood")
    part = row.get("split") or None
    if part and part.casefold() not in PART_NAMES:
        raise _RowError(f"split {part!r} is none of train, validation, test")
    return Track(
        path=path,
        mood=mood,
        name=relative_name(path, root),
        scores=scores,
        num_votes=_whole_number(row, "votes"),
        fold=_whole_number(row, "fold"),
        part=PART_NAMES[part.casefold()] if part else None,
        **{name: row.get(name) or None for name in _TEXTS},
    )


def _whole_number(row: dict[str, str], name: str) -> int | None:
    text = row.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise _RowError(f"{name} {text!r} is not a whole number")
    return int(text)


def _scores(
    row: dict[str, str], kinds: Collection[str], num_moods: int
) -> tuple[float, ...] | None:
    """Shares of the moods in these columns, and none of the others."""
    texts = [row.get(kind, "") for kind in kinds]
    if not any(texts):
        return None
    try:
        values = [float(text) for text in texts]
    except ValueError:
        raise _RowError(f"soft label {listing(texts)}: a number for each is needed") from None
    if not all(math.isfinite(value) and value >= 0 for value in values) or sum(values) <= 0:
        raise _RowError(f"soft label {listing(texts)}: shares of 0 or more are needed")
    shares = [value / sum(values) for value in values]
    return (*shares, *[0.0] * (num_moods - len(shares)))
