"""What must be known to take back what was written into files: one JSON object a line.

A line is on the disk before the file it is about is replaced. A kill in between leaves a line about
a change that was not made, a kill while it is written leaves a part of a line; both do no harm.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from melodai.errors import DataError
from melodai.predict.byte_changes import Piece, from_json, to_json
from melodai.predict.mood_tag import TagError
from melodai.predict.safe_replace import sync_folder

_START = b'{"file": "'


@dataclass(frozen=True, kw_only=True)
class UndoRecord:
    """One change of one file.

    Attributes:
        file: absolute, without links.
        before: the mood that stood in the file, None if none did.
        after: the mood that was written.
        old_digest, new_digest: SHA-256 of the content.
        old_time_ns: when the old content was last modified.
        pieces: the old content as pieces of the new one.
    """

    file: str
    before: tuple[str, ...] | None
    after: tuple[str, ...]
    old_digest: str
    new_digest: str
    old_time_ns: int
    pieces: tuple[Piece, ...]

    def to_line(self) -> bytes:
        values = asdict(self) | {"pieces": to_json(self.pieces)}
        return json.dumps(values).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "UndoRecord":
        """Raises ValueError, TypeError or KeyError if it is something else."""
        values = json.loads(line)
        before = values["before"]
        if not isinstance(values["file"], str):
            raise TypeError("file is no text")
        return cls(
            **values
            | {
                "before": None if before is None else tuple(map(str, before)),
                "after": tuple(map(str, values["after"])),
                "pieces": tuple(from_json(values["pieces"])),
            }
        )


class UndoLog:
    """Records appended to a file, which is made with the first of them.

    Args:
        path: of the file; one that is there is gone on with.

    Raises:
        DataError: it is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        if path.exists():
            next(read_backwards(path), None)

    def append(self, record: UndoRecord) -> None:
        """Adds a record; it is on the disk after this.

        Raises:
            TagError: it cannot be written; nothing was added.
        """
        try:
            if self._file is None:
                self._file = self._opened()
            end = self._file.seek(0, os.SEEK_END)
            try:
                left = memoryview(record.to_line())
                while left:
                    left = left[self._file.write(left) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(end)
                raise
        except OSError as error:
            reason = error.strerror or error
            raise TagError(f"the undo file {self.path} cannot be written: {reason}") from error

    def _opened(self) -> BinaryIO:
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab+", buffering=0)
        if is_new:
            sync_folder(self.path.parent)
        else:
            file.truncate(_line_ends(self.path)[-1])  # a part of a line, left by a kill
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_backwards(path: Path) -> Iterator[UndoRecord]:
    """The records from the last to the first; memory does not grow with their number.

    Raises:
        DataError: no such file, or it is something else.
    """
    try:
        places = _line_ends(path)
        with path.open("rb") as file:
            for start, end in zip(places[-2::-1], places[:0:-1], strict=True):
                file.seek(start)
                yield UndoRecord.from_line(file.read(end - start))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} is no undo file of melodai-predict, or damaged: {error}"
        ) from error


def _line_ends(path: Path) -> list[int]:
    """0, and where each whole line ends.

    Raises:
        DataError: it is something else.
        OSError: it cannot be read.
    """
    places = [0]
    with path.open("rb") as file:
        for line in file:
            if places == [0] and line[: len(_START)] != _START[: len(line)]:
                raise DataError(f"{path} is no undo file of melodai-predict")
            if line.endswith(b"\n"):
                places.append(places[-1] + len(line))
    return places
