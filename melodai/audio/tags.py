"""Who made a song and what it is called, by the file's own tags."""

import struct
from pathlib import Path
from typing import NamedTuple

import av
import mutagen

# What mutagen lets escape from files whose structure is damaged, besides its own errors.
DAMAGED_TAGS = (
    mutagen.MutagenError, ValueError, LookupError, TypeError, AttributeError, struct.error,
    OverflowError, EOFError, AssertionError,
)  # fmt: skip


class Tags(NamedTuple):
    """What the file says about itself; None where it says nothing. Several artists have a ";"."""

    artist: str | None = None
    album: str | None = None
    title: str | None = None
    album_artist: str | None = None


def tags_of(path: Path, container: av.container.InputContainer, stream: av.AudioStream) -> Tags:
    """The tags of an open file."""
    metadata = {**stream.metadata, **container.metadata}
    found = {key.casefold(): " ".join(value.split()) for key, value in metadata.items()}
    artist = _several_artists(path) or found.get("artist") or found.get("album_artist")
    rest = (found.get(name) or None for name in ("album", "title", "album_artist"))
    return Tags(artist or None, *rest)


def _several_artists(path: Path) -> str:
    """All artists of ID3 and MP4 tags with several, of which FFmpeg gives the first; or ""."""
    try:
        tags = getattr(mutagen.File(path), "tags", None)
        values = tags and (tags.get("TPE1") or tags.get("\xa9ART"))
        names = [str(name).strip() for name in values or ()]
    except DAMAGED_TAGS:  # then what FFmpeg makes of them
        return ""
    return ";".join(filter(None, names)) if len(names) > 1 else ""
