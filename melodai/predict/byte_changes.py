"""What must be kept of a file so that it can be made again from a changed copy of it.

A tag that grows moves all that follows; Ogg numbers its pages anew. So what is kept are the places
in the changed copy from which the old bytes can be taken, and the few bytes that are not there.
"""

import base64
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

_CHUNK_BYTES = 1 << 20
_ANCHOR_BYTES = 32  # so many in a row, and not all alike, stand in one place only
_SHORT_BYTES = 96

Piece = tuple[int, int] | bytes
"""`(start, length)` in the changed file, or bytes that are not there."""


def pieces_of(old: Path, new: Path) -> list[Piece]:
    """The old file as pieces of the new one; both may be larger than memory."""
    with _mapped(old) as before, _mapped(new) as after:
        return list(_merged(_walk(before, after, slice(0, len(before)), slice(0, len(after)))))


def write_old(pieces: Iterable[Piece], new: Path, target: BinaryIO) -> None:
    """Writes the old file again."""
    with new.open("rb") as source:
        for piece in pieces:
            if isinstance(piece, bytes):
                target.write(piece)
                continue
            source.seek(piece[0])
            left = piece[1]
            while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
                target.write(chunk)
                left -= len(chunk)


def to_json(pieces: Iterable[Piece]) -> list[list[int] | str]:
    """Pieces as JSON has them."""
    return [
        base64.b64encode(piece).decode() if isinstance(piece, bytes) else list(piece)
        for piece in pieces
    ]


def from_json(values: Iterable[list[int] | str]) -> list[Piece]:
    """The opposite of `to_json`.

    Raises:
        ValueError, TypeError: it is something else.
    """
    return [
        base64.b64decode(value, validate=True)
        if isinstance(value, str)
        else (int(value[0]), int(value[1]))
        for value in values
    ]


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:  # the map keeps it open
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _walk(old: mmap.mmap, new: mmap.mmap, ours: slice, theirs: slice) -> Iterator[Piece]:
    """Pieces of one part of the old file, taken from one part of the new one."""
    start, end, first, last = ours.start, ours.stop, theirs.start, theirs.stop
    same = _common(old, new, start, first, min(end - start, last - first), 1)
    if same:
        yield first, same
        start, first = start + same, first + same
    tail = _common(old, new, end, last, min(end - start, last - first), -1)
    end, last = end - tail, last - tail
    if end - start <= _SHORT_BYTES or first == last:
        if start < end:
            yield old[start:end]
    elif (found := _anchor(old, new, start, end, first, last)) is not None:
        at, place = found
        # Both halves find out by themselves how far the agreement reaches.
        yield from _walk(old, new, slice(start, at), slice(first, place))
        yield from _walk(old, new, slice(at, end), slice(place, last))
    else:
        yield old[start:end]
    if tail:
        yield last, tail


def _anchor(
    old: mmap.mmap, new: mmap.mmap, start: int, end: int, first: int, last: int
) -> tuple[int, int] | None:
    """A place in the old part whose bytes stand in the new part, too, and where."""
    for sixteenths in (8, 4, 12, 2, 6, 10, 14, 1, 3, 5, 7, 9, 11, 13, 15):
        at = start + (end - start) * sixteenths // 16
        wanted = old[at : min(at + _ANCHOR_BYTES, end)]
        if len(set(wanted)) < _ANCHOR_BYTES // 4:
            continue
        place = new.find(wanted, first, last)
        if place >= 0:
            return at, place
    return None


def _common(old: mmap.mmap, new: mmap.mmap, at: int, place: int, most: int, step: int) -> int:
    """How many bytes agree from two places on, forwards (`step` 1) or backwards (-1)."""
    num_same = 0
    while num_same < most:
        length = min(_CHUNK_BYTES, most - num_same)
        here, there = at + step * num_same, place + step * num_same
        if step > 0:
            ours, theirs = old[here : here + length], new[there : there + length]
        else:
            ours, theirs = old[here - length : here], new[there - length : there]
        if ours != theirs:
            differs = np.frombuffer(ours, np.uint8) != np.frombuffer(theirs, np.uint8)
            return num_same + int(np.argmax(differs[::step]))
        num_same += length
    return num_same


def _merged(pieces: Iterable[Piece]) -> Iterator[Piece]:
    kept: Piece | None = None
    for piece in pieces:
        if isinstance(kept, bytes) and isinstance(piece, bytes):
            kept += piece
        elif isinstance(kept, tuple) and isinstance(piece, tuple) and sum(kept) == piece[0]:
            kept = (kept[0], kept[1] + piece[1])
        else:
            if kept is not None:
                yield kept
            kept = piece
    if kept is not None:
        yield kept
