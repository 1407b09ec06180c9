"""Spectrogram pictures as files: what is in them, and what their text says of the song."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from melodai.errors import DataError

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg"}
SONG, ARTIST = "melodai song", "melodai artist"  # keys of PNG text
# "rain__seg0__aug2", "rain_seg1_aug2", "rain-segment 3", "rain_augmented_1", "rain_copy2"
_PIECE = re.compile(
    r"(?:__seg\d+(?:__aug\d+)?|(?:[ _-]+(?:seg|segment|aug|augmented|copy|part)[ _-]*\d+)+)$", re.I
)
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


class PictureAbout(NamedTuple):
    """What is known of the song in a picture."""

    song: str
    artist: str | None


def is_picture_name(path: Path) -> bool:
    """Whether the name is one of a picture."""
    return path.suffix.casefold() in PICTURE_SUFFIXES and not path.name.startswith(".")


def open_picture(path: Path) -> Image.Image:
    """A decoded picture, its text in `info`; palettes and 16 bits become plain 8 bits.

    Raises:
        DataError: it is damaged, too large, or no picture; the message is the reason alone.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            image.load()
            if image.mode.startswith(("I", "F")):
                deep = np.clip(np.asarray(image, np.float32) / 257, 0, 255)
                plain = Image.fromarray(deep.round().astype(np.uint8))
            elif image.mode not in ("L", "RGB", "RGBA"):
                plain = image.convert("RGBA" if "transparency" in image.info else "RGB")
            else:
                plain = image.copy()
            plain.info = {**image.info, **getattr(image, "text", {})}
            return plain
    except FileNotFoundError as error:
        raise DataError("no such file") from error
    except _DAMAGE as error:
        raise DataError(f"no picture, or damaged ({error})") from error


def read_pixels(path: Path, size: int) -> np.ndarray:
    """Grey values, int16 `(size * size,)`, black -32767 and white 32767, lowest row first.

    A colour picture counts by its luminance, which the usual colour maps let rise with the value.

    Raises:
        DataError: it cannot be read.
    """
    grey = open_picture(path).convert("L").resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(grey, np.float32)[::-1]  # pictures have low frequencies at the bottom
    return np.rint((pixels / 255 * 2 - 1) * 32767).astype(np.int16).ravel()


def about_picture(path: Path, mood: str) -> PictureAbout:
    """The song by the picture's text, else by its name up to the number of the segment or copy."""
    text = {}
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            text = image.info
    except _DAMAGE:
        pass  # it will be named among the files that cannot be used
    song, artist = text.get(SONG), text.get(ARTIST)
    if isinstance(song, str) and song:
        return PictureAbout(song, artist if isinstance(artist, str) and artist else None)
    return PictureAbout(f"{mood}/{_PIECE.sub('', path.stem)}", None)
