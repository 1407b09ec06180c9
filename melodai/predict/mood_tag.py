"""The place of the mood in the tags of each format.

ID3 (mp3, aiff, wav, tta) has the frame `TMOO`, or `TXXX:MOOD` where a file has that already, Vorbis
comments (flac, ogg, opus) `MOOD`, MP4 the atom `----:com.apple.iTunes:MOOD`, ASF (wma) `WM/Mood`,
APEv2 (ape, wv, mpc) `Mood`. Moods in other spellings, and in a second tag of another kind in the
same file, are seen and give way, so that a file has one mood.

A WAV file has its ID3 tag in a chunk, which TagLib, mutagen and FFmpeg 8 read (FFmpeg 5.1 does
not); the list of RIFF INFO has no place for a mood.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mutagen
from mutagen._vorbis import VComment
from mutagen.apev2 import APENoHeaderError, APEv2, APEv2File
from mutagen.asf import ASFTags
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TMOO, TXXX, Encoding, ID3FileType, ID3NoHeaderError
from mutagen.mp4 import MP4FreeForm, MP4Tags

from melodai.audio import DAMAGED_TAGS
from melodai.errors import MelodaiError

_KEYS = {
    ID3: "TMOO", VComment: "MOOD", MP4Tags: "----:com.apple.iTunes:MOOD", ASFTags: "WM/Mood",
    APEv2: "Mood",
}  # fmt: skip
_MOOD = re.compile(r"tmoo|txxx:mood|mood|wm/mood|©moo|----:[^:]*:mood", re.IGNORECASE)
_ID3V1_BYTES = 128


class TagError(MelodaiError):
    """Why a file's tag cannot be read or written; the message is the reason alone."""


class FileTags(NamedTuple):
    """What a file says about itself.

    Attributes:
        mood: of all places where it has one; None if it has none.
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
        _key(file.tags)
        mood, others = [], []
        for number, tags in enumerate((file.tags, *_tags_beside(file, path))):
            places = _places(tags)
            mood += [text for place in places for text in _texts(tags[place])]
            others += [
                (f"{number} {name}", repr(value))
                for name, value in tags.items()
                if not _MOOD.fullmatch(name)
            ]
            if isinstance(tags, ID3):
                others += [(f"{number} unknown", repr(bytes(it))) for it in tags.unknown_frames]
        if isinstance(file, FLAC):
            blocks = [*file.pictures, file.cuesheet, file.seektable]
            others += [("block", repr(block and block.write())) for block in blocks]
        return FileTags(tuple(mood) or None, tuple(sorted(others)))
    except DAMAGED_TAGS as error:
        raise _explained(error) from error


def write_mood(path: Path, mood: Sequence[str] | None) -> None:
    """Sets the mood in a file, in place, or takes it away if None; no other mood stays in it.

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
        others = [tags for tags in _tags_beside(file, path) if _remove_mood(tags)]
        if others or isinstance(file, ID3FileType | APEv2File):
            end = _id3v1(path)
        _remove_mood(file.tags)
        if mood is not None:
            file.tags[key] = _value(file.tags, key, mood)
        file.save(path, **options)
        for tags in others:
            if isinstance(tags, ID3):
                tags.save(path, v1=0, v2_version=tags.version[1], v23_sep=None)
            elif tags:
                tags.save(path)
            else:
                tags.delete(path)
        if end:
            _write_end(path, end)
    except DAMAGED_TAGS as error:
        raise _explained(error) from error


def _remove_mood(tags: Any) -> bool:
    """Whether there was one."""
    places = _places(tags)
    for place in places:
        del tags[place]
    return bool(places)


def _places(tags: Any) -> list[str]:
    return sorted(name for name in tags.keys() if _MOOD.fullmatch(name))  # noqa: SIM118


def _tags_beside(file: Any, path: Path) -> list[Any]:
    """Tags of another kind in the same file: ID3 in front of it, APEv2 behind."""
    found = []
    if not isinstance(file.tags, ID3):
        with contextlib.suppress(ID3NoHeaderError):
            found.append(ID3(path, translate=False, load_v1=False))
    if not isinstance(file.tags, APEv2):
        with contextlib.suppress(APENoHeaderError):
            found.append(APEv2(path))
    return found


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
    """Where a mood is to stand."""
    places = _places(tags)
    if isinstance(tags, ID3) and places:  # of two, that of its version
        return places[-1] if tags.version[:2] == (2, 3) else places[0]
    for kind, key in _KEYS.items():
        if isinstance(tags, kind):
            return key
    raise TagError(f"its tags ({type(tags).__name__}) have no place for a mood")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, TMOO | TXXX):
        return tuple(map(str, value.text))
    values = [value] if isinstance(value, str) else list(value)
    return tuple(
        entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)
        for entry in values
    )


def _value(tags: Any, key: str, mood: Sequence[str]) -> Any:
    if isinstance(tags, ID3):
        is_latin = all(ord(letter) < 256 for text in mood for letter in text)
        # Both encodings stand in 2.3 and in 2.4.
        encoding = Encoding.LATIN1 if is_latin else Encoding.UTF16
        _, _, description = key.partition(":")
        frame = (
            TXXX(encoding=encoding, desc=description) if description else TMOO(encoding=encoding)
        )
        frame.text = list(mood)
        return frame
    if isinstance(tags, MP4Tags):
        return [MP4FreeForm(text.encode()) for text in mood]
    return list(mood)


def _id3v1(path: Path) -> bytes:
    """The old tag at the end of the file; saving would shorten and rewrite it, or remove it."""
    with path.open("rb") as file:
        file.seek(-min(_ID3V1_BYTES, path.stat().st_size), os.SEEK_END)
        end = file.read()
    return end if end.startswith(b"TAG") else b""


def _write_end(path: Path, end: bytes) -> None:
    is_there = bool(_id3v1(path))
    with path.open("r+b") as file:
        file.seek(-len(end) if is_there else 0, os.SEEK_END)
        file.write(end)


def _explained(error: Exception) -> Exception:
    cause = error.args[0] if error.args else None
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause  # a full disk, say, which mutagen has wrapped
    return TagError(f"its tags are damaged ({str(error) or type(error).__name__})")
