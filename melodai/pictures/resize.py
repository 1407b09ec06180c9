"""Step "resize the spectrograms" of the study: all pictures of a folder to one small size."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

from melodai.config import FrontEndConfig
from melodai.data.cache import Failure
from melodai.data.picture_files import is_picture_name, open_picture
from melodai.data.picture_folders import MANIFEST
from melodai.errors import DataError, SettingError
from melodai.files import replace_file

JPEG_QUALITY = 95
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Resized:
    """What became of the pictures: how many were written, and which cannot be read."""

    num_pictures: int
    failures: tuple[Failure, ...]


def resize_pictures(
    source: Path,
    out: Path,
    *,
    size: int = FrontEndConfig.image_size,
    on_progress: OnProgress = lambda done, total: None,
) -> Resized:
    """Writes every picture below a folder in the new size under the same name elsewhere.

    Resized with a triangle filter as wide as needed (no aliasing); the text of the PNGs and
    `manifest.csv` come along. Nothing is deleted, and the pictures that are there stay.

    Args:
        size: pixels a side.

    Raises:
        DataError: there is no such folder, or no picture in it.
        SettingError: one of the folders lies within the other.
        MelodaiError: the folder cannot be written to.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise SettingError(f"{source} and {out} lie within each other; choose another folder")
    # os.walk and not rglob: a link to a folder above would never end.
    paths = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(source)
        for name in names
        if is_picture_name(Path(name))
    )
    if not paths:
        raise DataError(f"{source}: there are no pictures (png, jpg) in it")
    failures = []
    for done, path in enumerate(paths, start=1):
        try:
            picture = open_picture(path)
        except DataError as error:
            failures.append(Failure(path, str(error)))
        else:
            _write(picture, out / path.relative_to(source), size)
        on_progress(done, len(paths))
    if (source / MANIFEST).is_file():
        with (source / MANIFEST).open("rb") as manifest:
            replace_file(out / MANIFEST, lambda file: shutil.copyfileobj(manifest, file))
    return Resized(num_pictures=len(paths) - len(failures), failures=tuple(failures))


def _write(picture: Image.Image, path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = picture.resize((size, size), Image.Resampling.BILINEAR)
    if path.suffix.casefold() == ".png":
        text = PngImagePlugin.PngInfo()
        for key, value in picture.info.items():
            if isinstance(key, str) and isinstance(value, str):
                text.add_itxt(key, value)
        replace_file(path, lambda file: small.save(file, "PNG", pnginfo=text))
    else:
        plain = small if small.mode == "L" else small.convert("RGB")
        replace_file(path, lambda file: plain.save(file, "JPEG", quality=JPEG_QUALITY))
