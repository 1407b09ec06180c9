"""The place of the mood in the tags of each format.

ID3 (mp3, aiff, wav, tta) has the frame `TMOO`, Vorbis comments (flac, ogg, opus) `MOOD`, MP4 the
atom `----:com.apple.iTunes:MOOD`, ASF (wma) `WM/Mood`, APEv2 (ape, wv, mpc) `Mood`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mutagen
from mutagen._vorbis import VComment
from mutagen.apev2 import APEv2, APEv2File
from mutagen.asf import ASFTags
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TMOO, Encoding, ID3FileType
from mutagen.mp4 import MP4FreeForm, MP4Tags

from melodai.audio import DAMAGED_TAGS
from melodai.errors import MelodaiError

_KEYS = {
    ID3: "TMOO", VComment: "MOOD", MP4Tags: "----:com.apple.iTunes:MOOD", ASFTags: "WM/Mood",
    APEv2: "Mood",
}  # fmt: skip
_ID3V1_BYTES = 128


class TagError(MelodaiError):
    """Why a file's tag cannot be read or written; the message is the reason alone."""


class FileTags(NamedTuple):
    """What a file says about itself.

    Attributes:
        mood: None if it has no such tag.
        others: all else, in a form that can be compared.
    """

    mood: tuple[str, ...] | None
    others: tuple[tuple[str, str], ...]


def read_tags(path: Path) -> FileTags:
    """The tags of a file.

    Raises:
        TagError: the format has none, or it is damaged.
    """
    try:
        file = _open(path)
        tags, key = file.tags, _key(file.tags)
        mood = _texts(tags[key]) if key in tags else None
        others = [(str(name), repr(value)) for name, value in tags.items()]
        others = [(name, value) for name, value in others if name.casefold() != key.casefold()]
        if isinstance(tags, ID3):
            others += [("unknown", repr(bytes(frame))) for frame in tags.unknown_frames]
        if isinstance(file, FLAC):
            blocks = [*file.pictures, file.cuesheet, file.seektable]
            others += [("block", repr(block and block.write())) for block in blocks]
        return FileTags(mood, tuple(sorted(others)))
    except DAMAGED_TAGS as error:
        raise _explained(error) from error


def write_mood(path: Path, mood: Sequence[str] | None) -> None:
    """Sets the mood in a file, in place, or takes it away if None.

    The version of an ID3 tag stays (2.2 and 1, which know no mood, become 2.4).

    Raises:
        TagError: the format has no place for it, or the file is damaged.
        OSError: it cannot be written.
    """
    try:
        file = _open(path)
        key, options, end = _key(file.tags), {}, b""
        if isinstance(file.tags, ID3):
            version = 3 if file.tags.version[:2] == (2, 3) else 4
            options = {"v2_version": version, "v23_sep": None}
            end = _id3v1(path)
        if mood is None:
            file.tags.pop(key, None)
        else:
            file.tags[key] = _value(file.tags, mood)
        file.save(path, **options)
        if end:
            _write_end(path, end)
    except DAMAGED_TAGS as error:
        raise _explained(error) from error


def _open(path: Path) -> Any:
    """The file as mutagen sees it; it has tags now, empty ones perhaps."""
    file = mutagen.File(path)
    if file is None:
        raise TagError("tags of its format cannot be written")
    if isinstance(file, ID3FileType) and (file.tags is None or file.tags.version[0] == 1):
        # An ID3 tag with nothing but a mood would hide an APE tag from many players.
        ape = APEv2File(path)
        file = file if ape.tags is None else ape
    if file.tags is None:
        try:
            file.add_tags()
        except (mutagen.MutagenError, NotImplementedError) as error:
            raise TagError("its format has no tags") from error
        return file
    if isinstance(file.tags, ID3) and file.tags.version[0] == 2:
        # Frames as they stand, not translated to the newest version, but for 2.2, which cannot be
        # written. And without what an old tag at the end of the file says, which is to stay there.
        is_old = file.tags.version[1] == 2
        file = type(file)(path, translate=is_old, load_v1=False)
    return file


def _key(tags: Any) -> str:
    for kind, key in _KEYS.items():
        if isinstance(tags, kind):
            return key
    raise TagError(f"its tags ({type(tags).__name__}) have no place for a mood")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, TMOO):
        return tuple(map(str, value.text))
    values = [value] if isinstance(value, str) else list(value)
    return tuple(
        entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)
        for entry in values
    )


def _value(tags: Any, mood: Sequence[str]) -> Any:
    if isinstance(tags, ID3):
        is_latin = all(ord(letter) < 256 for text in mood for letter in text)
        # Both encodings stand in 2.3 and in 2.4.
        encoding = Encoding.LATIN1 if is_latin else Encoding.UTF16
        return TMOO(encoding=encoding, text=list(mood))
    if isinstance(tags, MP4Tags):
        return [MP4FreeForm(text.encode()) for text in mood]
    return list(mood)


def _id3v1(path: Path) -> bytes:
    """The old tag at the end of the file; saving would shorten and rewrite it."""
    with path.open("rb") as file:
        file.seek(-min(_ID3V1_BYTES, path.stat().st_size), os.SEEK_END)
        end = file.read()
    return end if end.startswith(b"TAG") else b""


def _write_end(path: Path, end: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(-len(end), os.SEEK_END)
        file.write(end)


def _explained(error: Exception) -> Exception:
    cause = error.args[0] if error.args else None
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause  # a full disk, say, which mutagen has wrapped
    return TagError(f"its tags are damaged ({str(error) or type(error).__name__})")
