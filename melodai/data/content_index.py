"""Remembers which content a file had, so that unchanged files need not be read again."""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

# Time stamps are coarse: a file changed just now could change once more without its stamp moving.
SETTLED_SECONDS = 2.0
LOCK_SECONDS = 30.0


class ContentIndex:
    """Path, size and time of change -> key, in a small SQLite file.

    Only a shortcut: if the file cannot be used, all looks new and nothing else changes. Use it as
    a context manager.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> "ContentIndex":
        with self._tolerant():
            self._database = self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = OFF")  # losing it costs time, not data
            database.execute(
                "CREATE TABLE IF NOT EXISTS files"
                " (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, key TEXT)"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            logger.warning("going on without the index %s: %s", self._path, error)
            self.__exit__()
            if not isinstance(error, sqlite3.OperationalError):
                # Not locked or out of reach, but damaged: the next run starts a new one.
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def find(self, path: Path) -> str | None:
        """Key of the file's content if the file is unchanged since it was remembered."""
        if self._database is None:
            return None
        try:
            stat = path.stat()
        except OSError:
            return None
        row = None
        with self._tolerant():
            row = self._database.execute(
                "SELECT key FROM files WHERE path = ? AND size = ? AND mtime_ns = ?",
                (_name(path), stat.st_size, stat.st_mtime_ns),
            ).fetchone()
        return row[0] if row else None

    def remember(self, path: Path, size: int, mtime_ns: int, key: str) -> None:
        if self._database is None or time.time() - mtime_ns / 1e9 < SETTLED_SECONDS:
            return
        with self._tolerant():
            self._database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                (_name(path), size, mtime_ns, key),
            )


def _name(path: Path) -> bytes:
    # Bytes: names on Linux need not be valid text.
    return os.fsencode(path.absolute())
