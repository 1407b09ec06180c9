"""Songs and their moods as a table that keeps its numbers however long the names are."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table

from melodai.cli.console import readable
from melodai.predict.rows import Row

# Cells of the terminal: room that a name should have in a wide and in a narrow table; texts and
# heads of shares of a narrow one.
_WIDE_NAME, _NARROW_NAME, _NARROW_TEXT, _NARROW_HEAD = 20, 12, 16, 5


class _Column(NamedTuple):
    head: str
    cells: list[str]
    justify: str = "right"

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.head, *self.cells)))

    def within(self, width: int) -> "_Column":
        """Its texts cut to so many cells."""
        return self._replace(cells=[shortened(cell, width) for cell in self.cells])


def print_songs(console: Console, rows: list[Row], moods: tuple[str, ...]) -> None:
    """A row a song: name, mood, shares, length, and what is to be known of the answer.

    Names are shortened in their middle. Where they would get too little room the table becomes
    narrower, and at last shows the share of the likeliest mood alone. All goes into a file or a
    pipe, unless `COLUMNS` says how wide it is.
    """
    songs = _Column("song", [readable(Path(*Path(row.file).parts[-2:])) for row in rows], "left")
    for padding, columns in _layouts(rows, moods):
        taken = sum(2 * padding + 1 + column.width for column in columns) + 2 * padding + 2
        room = _width(console) - taken
        if room >= min(_WIDE_NAME if padding else _NARROW_NAME, songs.width):
            break
    columns = [songs.within(max(_NARROW_NAME, room)), *columns]
    table = Table(padding=(0, padding), width=taken + columns[0].width)
    for column in columns:
        table.add_column(column.head, justify=column.justify, no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    console.print(table)


def _layouts(rows: list[Row], moods: tuple[str, ...]) -> Iterator[tuple[int, list[_Column]]]:
    """The padding and the columns beside the name, each time narrower."""
    mood = _Column("mood", [readable(row.mood) for row in rows], "left")
    shares = [
        _Column(readable(name), [f"{row.probabilities[index]:.2f}" for row in rows])
        for index, name in enumerate(moods)
    ]
    length = _Column("length", [_duration(row.seconds) for row in rows])
    notes = _Column("", ["unfamiliar" if row.is_unfamiliar else "" for row in rows], "left")
    last = [length, notes] if any(notes.cells) else [length]
    yield 1, [mood, *shares, *last]
    mood, *last = (column.within(_NARROW_TEXT) for column in (mood, *last))
    short = [share._replace(head=set_cell_size(share.head, _NARROW_HEAD)) for share in shares]
    yield 0, [mood, *short, *last]
    yield 0, [mood, _Column("share", [f"{row.confidence:.2f}" for row in rows]), *last]


def _width(console: Console) -> int:
    """Of the terminal or as `COLUMNS` says; without end in a file or a pipe."""
    return console.width if console.is_terminal or "COLUMNS" in os.environ else 1 << 16


def shortened(text: str, width: int) -> str:
    """The text in so many cells, without its middle where it is longer."""
    if cell_len(text) <= width:
        return text
    last = width // 2
    first = width - 1 - last
    begin = next(text[:stop] for stop in range(first, -1, -1) if cell_len(text[:stop]) <= first)
    # A mark of the letter before it does not begin the end.
    ends = (text[-length:] for length in range(last, 0, -1) if cell_len(text[-length]))
    return f"{begin}…{next((end for end in ends if cell_len(end) <= last), '')}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
