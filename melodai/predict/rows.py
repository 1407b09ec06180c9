"""Answers as rows of a table: CSV that is safe in a spreadsheet, JSON that is exact.

Columns: `file, mood, confidence, p_<mood>…, seconds, lost_seconds, unfamiliarity,
unfamiliar, remarks, error`. A file that could not be listened to has only `file` and `error`.

Bytes of a file's name that are not UTF-8 are Python's surrogate escapes: in CSV they stand as they
are in the name, in JSON as `\\udc80` to `\\udcff`. In CSV a text that begins like a formula (with
`=`, `+`, `-`, `@`, a tab or a line end) has a `'` before it, for a spreadsheet would run it; so has
one that begins with `'`, so that taking one `'` away always gives the text.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from melodai.data.cache import Failure
from melodai.predict.results import SongMood

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is said of one file; None where nothing is known, `error` why not.

    `probabilities` are in the order of the moods of the table; `seconds` were heard, `lost_seconds`
    are damaged or missing, `remarks` say what else a listener should know.
    """

    file: str
    mood: str | None = None
    confidence: float | None = None
    probabilities: tuple[float, ...] | None = None
    seconds: float | None = None
    lost_seconds: float | None = None
    unfamiliarity: float | None = None
    remarks: str | None = None
    error: str | None = None

    @property
    def is_unfamiliar(self) -> bool | None:
        """Whether the song is far from what the model learned, see `SongMood`."""
        return None if self.unfamiliarity is None else self.unfamiliarity > 1


def row_of(answer: SongMood | Failure) -> Row:
    """The row of an answer."""
    if isinstance(answer, Failure):
        return Row(file=str(answer.path), error=answer.reason)
    far = answer.unfamiliarity
    return Row(
        file=str(answer.file),
        mood=answer.mood,
        confidence=round(answer.confidence, 6),
        probabilities=tuple(round(value, 6) for value in answer.probabilities),
        seconds=round(answer.seconds, 3),
        lost_seconds=round(answer.hearing.lost_seconds, 3),
        unfamiliarity=round(far, 4) if math.isfinite(far) else None,
        remarks=answer.hearing.words or None,
    )


class RowFormat(Protocol):
    """How rows stand in a file to which they are appended."""

    def header(self) -> bytes: ...

    def line(self, row: Row) -> bytes: ...

    def rows(self, file: BinaryIO) -> Iterator[Row]:
        """Raises ValueError or KeyError where there is something else."""
        ...

    def whole_length(self, file: BinaryIO) -> int:
        """Bytes up to the end of the last whole row."""
        ...


class CsvFormat:
    """UTF-8, commas, quotes doubled, lines end with CR LF (RFC 4180)."""

    def __init__(self, moods: tuple[str, ...]) -> None:
        self._columns = column_names(moods)

    def header(self) -> bytes:
        return _csv_line(self._columns)

    def line(self, row: Row) -> bytes:
        return _csv_line(["" if v is None else _cell(v) for v in _values(row, self._columns)])

    def rows(self, file: BinaryIO) -> Iterator[Row]:
        text = io.TextIOWrapper(file, newline="", **_ENCODING)
        try:
            for values in csv.DictReader(text, strict=True):
                if None in values:
                    raise ValueError("a row is too long")
                yield _row({name: _plain(values[name]) for name in self._columns}, self._columns)
        except csv.Error as error:
            raise ValueError(str(error)) from error
        finally:
            text.detach()

    def whole_length(self, file: BinaryIO) -> int:
        end = place = quotes = 0
        for line in file:
            place += len(line)
            quotes += line.count(b'"')
            if line.endswith(b"\n") and quotes % 2 == 0:  # else the line end is within a name
                end = place
        return end


class JsonLinesFormat:
    """One JSON object a line, ASCII only."""

    def __init__(self, moods: tuple[str, ...]) -> None:
        self._columns = column_names(moods)

    def header(self) -> bytes:
        return b""

    def line(self, row: Row) -> bytes:
        values = zip(self._columns, _values(row, self._columns), strict=True)
        return json.dumps(dict(values)).encode() + b"\n"

    def rows(self, file: BinaryIO) -> Iterator[Row]:
        for line in file:
            yield _row(json.loads(line), self._columns)

    def whole_length(self, file: BinaryIO) -> int:
        end = place = 0
        for line in file:
            place += len(line)
            end = place if line.endswith(b"\n") else end
        return end


def json_array(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a JSON lines file as one JSON array, piece by piece."""
    yield b"["
    for number, line in enumerate(lines):
        yield (b",\n " if number else b"\n ") + line.rstrip(b"\n")
    yield b"\n]\n"


def column_names(moods: tuple[str, ...]) -> list[str]:
    """The columns, in their order."""
    probabilities = [f"p_{mood}" for mood in moods]
    last = ["seconds", "lost_seconds", "unfamiliarity", "unfamiliar", "remarks", "error"]
    return ["file", "mood", "confidence", *probabilities, *last]


def _values(row: Row, columns: list[str]) -> list[Any]:
    shares = row.probabilities or (None,) * (len(columns) - 9)
    last = (row.seconds, row.lost_seconds, row.unfamiliarity, row.is_unfamiliar)
    return [row.file, row.mood, row.confidence, *shares, *last, row.remarks, row.error]


def _row(values: dict[str, Any], columns: list[str]) -> Row:
    """Reads what `_values` gave, numbers perhaps as text, None perhaps as the empty text."""
    if not isinstance(values["file"], str):
        raise ValueError(f"{values['file']!r} is not the name of a file")
    shares = [_number(values[name]) for name in columns if name.startswith("p_")]
    return Row(
        file=values["file"],
        mood=values["mood"] or None,
        confidence=_number(values["confidence"]),
        probabilities=None if None in shares else tuple(shares),
        seconds=_number(values["seconds"]),
        lost_seconds=_number(values["lost_seconds"]),
        unfamiliarity=_number(values["unfamiliarity"]),
        remarks=values["remarks"] or None,
        error=values["error"] or None,
    )


def _number(value: Any) -> float | None:
    return None if value in ("", None) else float(value)


def _csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode(**_ENCODING)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(cell: str | None) -> str:
    if cell is None:
        raise ValueError("a row is too short")
    return cell.removeprefix("'")
