"""The exported folder, which appears whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from melodai.errors import CheckpointError, SettingError


def write_folder(out: Path, fill: Callable[[Path], None]) -> None:
    """Makes a folder in one step: filled beside its place, flushed to the disk, then renamed.

    Args:
        out: must not exist, or be empty.
        fill: writes files into the folder it is given.

    Raises:
        SettingError: there is something at that place already.
        CheckpointError: the disk is full or the place cannot be written to.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"{out} is there already; choose another --out or remove it")
    unfinished = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        fill(unfinished)
        for path in (*unfinished.iterdir(), unfinished):
            _to_disk(path)
        unfinished.chmod(0o755)
        unfinished.rename(out)
        _to_disk(out.parent)
    except OSError as error:
        raise CheckpointError(f"could not write {out}: {error.strerror or error}") from error
    finally:
        if unfinished is not None and unfinished.exists():
            shutil.rmtree(unfinished, ignore_errors=True)


def _to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle of a folder to flush
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run as JSON values, without the places of the machine it ran on."""
    here = {"data", "cache_dir", "out", "weights_dir"}
    return {
        section: {name: None if name in here else value for name, value in values.items()}
        for section, values in config.items()
    }
