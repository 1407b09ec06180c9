"""Moods into the tags of files, and back out of them.

A file is never written to. A copy beside it gets the tag; if the copy sounds the same to the last
packet and says all else that the file said, it takes the file's place in one step, with its mode,
owner and attributes. The time of modification becomes that of the writing, so that players and
backups notice; `undo` brings the old one back.
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from melodai.data.cache import Failure
from melodai.files import file_digest
from melodai.predict.byte_changes import pieces_of, write_old
from melodai.predict.mood_tag import TagError, read_tags, write_mood
from melodai.predict.safe_replace import (
    check_can_be_replaced,
    copy_beside,
    put_in_place,
    remove_abandoned,
    sound_digest,
)
from melodai.predict.undo_file import UndoLog, UndoRecord, read_backwards


@dataclass(frozen=True, kw_only=True)
class TagChange:
    """The mood in one file before and after; None is no such tag."""

    path: Path
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class TagReport:
    """What became of the files.

    Attributes:
        changes: made, or to be made if `is_dry_run`.
        num_unchanged: files that said so already.
        skipped: files that were left alone, and why.
        undo_file: what takes the changes back; None if nothing was written.
    """

    changes: tuple[TagChange, ...]
    num_unchanged: int
    skipped: tuple[Failure, ...]
    is_dry_run: bool = False
    undo_file: Path | None = None


def write_moods(
    answers: Iterable[tuple[Path, str]], *, undo_file: Path, dry_run: bool
) -> TagReport:
    """Writes each file's mood into its tag, in place of another mood that may stand there.

    A link is followed, its target changed. A file that cannot be changed without harm is left
    alone, and the report says why.

    Args:
        undo_file: records are appended; they are on the disk before a file is replaced.
        dry_run: write nothing, only say what would be written.

    Raises:
        MelodaiError: `undo_file` is something else.
    """
    changes, skipped, num_unchanged = [], [], 0
    folders: set[Path] = set()
    with contextlib.closing(UndoLog(undo_file)) as log:
        for given, mood in answers:
            path = Path(os.path.realpath(given))
            with _refusals(given, skipped):
                check_can_be_replaced(path)
                tags = read_tags(path)
                if tags.mood == (mood,):
                    num_unchanged += 1
                    continue
                if not dry_run:
                    if path.parent not in folders:
                        remove_abandoned(path.parent)
                        folders.add(path.parent)
                    _write(path, (mood,), log)
                changes.append(TagChange(path=given, before=tags.mood, after=(mood,)))
    is_written = bool(changes) and not dry_run
    return TagReport(
        changes=tuple(changes), num_unchanged=num_unchanged, skipped=tuple(skipped),
        is_dry_run=dry_run, undo_file=undo_file if is_written else None,
    )  # fmt: skip


def undo(undo_file: Path) -> TagReport:
    """Takes back what `write_moods` wrote; may be run again after a kill, or twice.

    A file that was not touched since becomes what it was, byte for byte. Of one that something else
    was changed in, only the mood is put back. One whose mood was changed since is left alone.

    Raises:
        DataError: there is no such undo file, or it is damaged.
    """
    changes: dict[Path, TagChange] = {}
    unchanged: set[Path] = set()
    left_alone: set[Path] = set()
    contents = defaultdict(set)  # of each file, before each of its changes
    for record in read_backwards(undo_file):
        contents[record.file].add(record.old_digest)
    skipped: list[Failure] = []
    for record in read_backwards(undo_file):
        path = Path(record.file)
        if path in left_alone:
            continue
        left_alone.add(path)  # unless all goes well
        with _refusals(path, skipped):
            check_can_be_replaced(path)
            now = _take_back(path, record, contents[record.file])
            if now is None:
                unchanged.add(path)
            elif path in changes:
                changes[path] = replace(changes[path], after=record.before)
            else:
                changes[path] = TagChange(path=path, before=now, after=record.before)
            left_alone.remove(path)
    return TagReport(
        changes=tuple(reversed(changes.values())),
        num_unchanged=len(unchanged - changes.keys()),
        skipped=tuple(skipped),
    )


@contextlib.contextmanager
def _refusals(path: Path, skipped: list[Failure]) -> Iterator[None]:
    """Turns whatever speaks against changing a file into a reason."""
    try:
        yield
    except TagError as error:
        skipped.append(Failure(path, str(error)))
    except OSError as error:
        reason = error.strerror or str(error)
        skipped.append(Failure(path, f"it could not be written: {reason}"))


def _write(path: Path, mood: tuple[str, ...] | None, log: UndoLog | None) -> None:
    """Sets the mood; without a log, what was there cannot be had back."""
    status = path.stat()
    before, old_digest, sound = read_tags(path), file_digest(path), sound_digest(path)
    with copy_beside(path) as copy:
        write_mood(copy, mood)
        after = read_tags(copy)
        if after.mood != mood or after.others != before.others:
            raise TagError("its other tags would not stay as they are")
        if sound_digest(copy) != sound:
            raise TagError("its sound would not stay as it is")
        if log is not None:
            record = UndoRecord(
                file=str(path), before=before.mood, after=mood or (),
                old_digest=old_digest, new_digest=file_digest(copy), old_time_ns=status.st_mtime_ns,
                pieces=tuple(pieces_of(path, copy)),
            )  # fmt: skip
            log.append(record)
        _check_is_same(path, status)
        put_in_place(copy, path)


def _take_back(path: Path, record: UndoRecord, contents: Collection[str]) -> tuple[str, ...] | None:
    """Takes one change back; gives the mood that stood there, None if it was taken back already.

    Args:
        contents: digests that the file had before this change and others.
    """
    status, digest = path.stat(), file_digest(path)
    if digest in contents and digest != record.new_digest:
        return None
    if digest == record.new_digest:
        with copy_beside(path) as copy:
            with copy.open("wb") as target:
                write_old(record.pieces, path, target)
            if file_digest(copy) != record.old_digest:
                raise TagError("the undo file does not fit it")
            os.utime(copy, ns=(status.st_atime_ns, record.old_time_ns))
            _check_is_same(path, status)
            put_in_place(copy, path)
        return record.after
    mood = read_tags(path).mood
    if mood == record.before:
        return None
    if mood != record.after:
        said = "no mood" if mood is None else f"the mood {', '.join(mood)}"
        raise TagError(f"it was changed since, and now has {said}")
    _write(path, record.before, None)
    return record.after


def _check_is_same(path: Path, status: os.stat_result) -> None:
    now = path.stat()
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (
        status.st_ino, status.st_size, status.st_mtime_ns,
    ):  # fmt: skip
        raise TagError("another program changed it meanwhile")
