"""The songs of a chained Ogg file, which stand one behind the other.

FFmpeg goes on with the decoder of the first song when the next begins, whatever that one's rate,
channels and codec: so each is opened by itself.
"""

import mmap
from pathlib import Path
from typing import NamedTuple

_BEGINS = b"OggS\x00\x02"  # a page of version 0 that begins a stream
_ENDS = (b"OggS\x00\x04", b"OggS\x00\x05")  # one that ends it; 5 goes on with a packet, too
_HEADER_BYTES = 27


class Links(NamedTuple):
    """The parts of an Ogg file.

    Attributes:
        spans: (start, end) in bytes, one a song.
        is_whole: the last one has its last page.
    """

    spans: tuple[tuple[int, int], ...]
    is_whole: bool


def links(path: Path) -> Links:
    """Where in the file its songs are; there are none if it is no Ogg file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        starts, place, end = [], content.find(_BEGINS), -1
        while place >= 0:
            if place != end:  # else a second stream of the same song
                starts.append(place)
            end = _end_of_page(content, place)
            place = content.find(_BEGINS, place + 1)
        ends = [*starts[1:], len(content)]
        is_whole = bool(starts) and any(content.find(mark, starts[-1]) >= 0 for mark in _ENDS)
    return Links(tuple(zip(starts, ends, strict=True)), is_whole)


def _end_of_page(content: mmap.mmap, start: int) -> int:
    lengths = start + _HEADER_BYTES
    count = content[lengths - 1] if lengths <= len(content) else 0
    return lengths + count + sum(content[lengths : lengths + count])
