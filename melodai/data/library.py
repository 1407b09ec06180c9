"""Finds out what kind of data a path is, and reads it."""

from melodai.config import DataConfig
from melodai.data.demo import read_demo
from melodai.data.emotify import is_emotify, read_emotify
from melodai.data.folders import read_folders
from melodai.data.manifest import read_manifest
from melodai.data.picture_folders import holds_pictures, read_pictures
from melodai.data.tracks import Library
from melodai.errors import DataError, SettingError


def read_library(config: DataConfig) -> Library:
    """Reads the demo clips, songs or pictures in a folder per mood, a CSV, the Emotify layout.

    Raises:
        DataError: there are no songs, or they cannot be read; the message says what to do.
        SettingError: soft labels are asked for and the data has none.
        DependencyError: the demo clips are asked for and not installed.
    """
    library = _read(config)
    if config.soft_labels and (num := sum(track.scores is None for track in library.tracks)):
        raise SettingError(
            f"--soft-labels: {num} of the {len(library.tracks)} songs of {library.name} have none. "
            "Leave it out, or give a CSV with a column of shares for each mood"
        )
    return library


def _read(config: DataConfig) -> Library:
    if config.data is None:
        return read_demo(config.taxonomy)
    root = config.data.expanduser()
    if root.is_file():
        if root.suffix.casefold() not in {".csv", ".tsv", ".txt"}:
            raise DataError(f"{root} is neither a folder nor a CSV file")
        return read_manifest(root, config.taxonomy)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder or file")
    if is_emotify(root):
        return read_emotify(root, config.taxonomy)
    if holds_pictures(root):
        return read_pictures(root, config.taxonomy)
    return read_folders(root, config.taxonomy)
