"""The one way to write a file, whole or not at all, and to tell its content."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from melodai.errors import MelodaiError

UNFINISHED = ".tmp"  # the ending of what a kill leaves behind
_CHUNK_BYTES = 1 << 24


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when it is complete and on the disk, or not at all.

    Whoever opens `path` meanwhile sees the old content. The new file has the rights that any new
    file of this user has.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; the old file is whole.
    """
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(6)}{UNFINISHED}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(path: Path, write: Callable[[Any], None]) -> None:
    """The same, with the remedy in the error.

    Args:
        write: is given the open binary file.

    Raises:
        MelodaiError: the folder cannot be written to, or the disk is full.
    """
    try:
        with replacing(path) as file:
            write(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MelodaiError(f"could not write {path}: {reason}; the old file is whole") from error


def replace_text(path: Path, text: str) -> None:
    """`replace_file` for UTF-8 text."""
    replace_file(path, lambda file: file.write(text.encode("utf-8")))


def file_digest(path: Path, on_progress: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of the content, in hexadecimal.

    Args:
        on_progress: called now and then, a sign of life while a large file is read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            on_progress()
    return digest.hexdigest()
