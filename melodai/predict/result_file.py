"""A file to which answers are appended as they come, and which can be gone on with.

A row is written in one piece and flushed to the disk every few seconds; a kill leaves at most one
half-written row, which is cut off when the file is gone on with. Beside the file stands
`<file>.settings.json`: what the rows depend on, so that rows of different models do not mix, and
`names_from`, the folder that relative names in the rows start from: the working folder of the first
run, relative to the result file where that lies in it, so that both can move together.
`--format json` appends to `<file>.journal`, from which the whole file is made at the end.
"""

import functools
import glob
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from melodai.errors import DataError, MelodaiError, SettingError
from melodai.files import replace_file, replace_text
from melodai.predict.rows import CsvFormat, JsonLinesFormat, Row, RowFormat, json_array

FORMATS = ("csv", "json", "jsonl")
SYNC_SECONDS = 5.0
_NAMES_FROM = "names_from"


def format_of(path: Path, name: str | None) -> str:
    """The named format, else the one that the file's own name says.

    Raises:
        SettingError: there is no such format.
    """
    found = name or path.suffix.casefold().removeprefix(".")
    if found not in FORMATS:
        raise SettingError(
            f"--format {found!r} is unknown; choose one of {', '.join(FORMATS)}"
            if name
            else f"{path}: the name does not say the format; add --format {'|'.join(FORMATS)}"
        )
    return found


class ResultFile:
    """Rows in a file.

    Args:
        path: the file.
        kind: csv, json, jsonl.
        moods: of the probabilities.
        settings: what the rows depend on.
    """

    def __init__(
        self, path: Path, kind: str, moods: tuple[str, ...], settings: Mapping[str, object]
    ) -> None:
        self.path, self.kind, self.moods, self._settings = path, kind, moods, dict(settings)
        self._format: RowFormat = CsvFormat(moods) if kind == "csv" else JsonLinesFormat(moods)
        self._journal = _beside(path, ".journal") if kind == "json" else path
        self._file: BinaryIO | None = None
        self._synced = time.monotonic()

    def prepare(self, *, resume: bool = False, force: bool = False) -> None:
        """Decides what becomes of a file that is there already, before any song is decoded.

        Args:
            resume: go on with it, if it is there.
            force: start over.

        Raises:
            SettingError: it is there and neither is given, or it was made with other settings.
            MelodaiError: it cannot be written.
        """
        there = [path for path in (self.path, self._journal) if path.exists()]
        if there and not (resume or force):
            raise SettingError(
                f"{there[0]} is there already; go on with it with --resume, or start over "
                "with --force"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if there and resume and not force:
                self._check_settings()
                self._mend()
            else:
                for path in {*there, *self.parts()}:
                    path.unlink()
                settings = {**self._settings, _NAMES_FROM: self._working_folder()}
                replace_text(self._sidecar, json.dumps(settings, indent=2) + "\n")
                self._journal.write_bytes(self._format.header())
                self._sidecar.chmod(self._journal.stat().st_mode)
        except OSError as error:
            raise MelodaiError(f"could not write {self.path}: {error.strerror or error}") from error

    @property
    def _sidecar(self) -> Path:
        return _beside(self.path, ".settings.json")

    def _working_folder(self) -> str:
        here, place = Path.cwd(), self.path.parent.resolve()
        return os.path.relpath(here, place) if place.is_relative_to(here) else str(here)

    def _made_with(self) -> dict[str, Any]:
        try:
            return json.loads(self._sidecar.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingError(
                f"{self.path} cannot be gone on with: {self._sidecar.name}, which says how it was "
                "made, is not beside it; start over with --force, or choose another --out"
            ) from error

    @functools.cached_property
    def _folder(self) -> Path:
        """That relative names start from; the empty path where it is the working folder."""
        here = Path.cwd()
        folder = (self.path.parent / self._made_with().get(_NAMES_FROM, here)).resolve()
        return Path() if folder == here else folder

    def path_of(self, row: Row) -> Path:
        """Where the file of a row is."""
        return self._folder / row.file

    def name_of(self, path: Path) -> str:
        """A file as the rows name it, wherever this run was begun."""
        if path.is_absolute() or self._folder == Path():
            return str(path)
        try:
            return os.path.relpath(path, self._folder)
        except ValueError:  # another drive (Windows)
            return str(path.absolute())

    def _check_settings(self) -> None:
        before = self._made_with()
        before.pop(_NAMES_FROM, None)
        now = json.loads(json.dumps(self._settings))
        changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if changed:
            said = ", ".join(f"{n} was {before.get(n)}, is now {now.get(n)}" for n in changed)
            raise SettingError(
                f"{self.path} was made with another model or other settings ({said}); "
                "start over with --force, or choose another --out"
            )

    def _mend(self) -> None:
        """Cuts off a row that was not finished; takes up a JSON file that was."""
        if not self._journal.exists():
            try:
                rows = json.loads(self.path.read_bytes())
            except ValueError as error:
                raise DataError(f"{self.path} was changed: {error}; use --force") from error
            lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            replace_file(self._journal, lambda file: file.write(lines))
            self._journal.chmod(self.path.stat().st_mode)
        with self._journal.open("r+b") as file:
            length = self._format.whole_length(file)
            file.truncate(length)
            if not length:
                file.seek(0)
                file.write(self._format.header())

    def rows(self) -> Iterator[Row]:
        """The rows that are there.

        Raises:
            DataError: something else is in the file.
        """
        try:
            with self._journal.open("rb") as file:
                yield from self._format.rows(file)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self._journal} was changed and cannot be gone on with: {error}; "
                "start over with --force"
            ) from error

    def append(self, row: Row) -> None:
        """Adds a row.

        Raises:
            MelodaiError: the disk is full, or the folder gone.
        """
        try:
            if self._file is None:
                self._file = self._journal.open("ab", buffering=0)
            left = memoryview(self._format.line(row))
            while left:
                left = left[self._file.write(left) :]
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise MelodaiError(
                f"could not write {self._journal}: {error.strerror or error}; "
                "make room and go on with --resume"
            ) from error

    def parts(self) -> list[Path]:
        """The files of processes that shared the songs, not yet merged into this one."""
        return sorted(self.path.parent.glob(glob.escape(self.path.name) + ".part-*"))

    def part(self, rank: int) -> "ResultFile":
        """The file of one of the processes that share the songs."""
        part = ResultFile(_beside(self.path, f".part-{rank}"), "jsonl", self.moods, self._settings)
        part._journal.unlink(missing_ok=True)
        return part

    def merge_parts(self) -> None:
        """Takes up the rows of all parts, each file's once, and removes the parts."""
        there = {row.file for row in self.rows()}
        for path in self.parts():
            part = ResultFile(path, "jsonl", self.moods, self._settings)
            part._mend()
            for row in part.rows():
                if row.file not in there:
                    there.add(row.file)
                    self.append(row)
            self.sync()
            path.unlink()

    def sync(self) -> None:
        """Everything is on the disk after this."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Makes the file whole: all rows are there."""
        self.close()
        if self.kind == "json":

            def write(file: BinaryIO) -> None:
                with self._journal.open("rb") as lines:
                    file.writelines(json_array(lines))

            replace_file(self.path, write)
            # A temporary file is its owner's alone, a result everybody's as far as usual here.
            self.path.chmod(self._journal.stat().st_mode)

    def discard_journal(self) -> None:
        """Removes what was needed to make the file, once it is finished and its rows are read."""
        if self._journal != self.path:
            self._journal.unlink()

    def close(self) -> None:
        """Ends writing; what is there can be gone on with."""
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
