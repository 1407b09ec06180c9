"""`manifest.csv` of a download folder: what lies there, where it comes from; trained on as it is.

A row is written before its file is moved into place, so that the file never lies there unknown; a
row whose file is missing or has other content is not finished.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from melodai.data.manifest import read_rows
from melodai.data.store import content_key, replacing
from melodai_studies.download.names import collision_key, song_stem
from melodai_studies.download.wanted import Wanted

NAME = "manifest.csv"
COLUMNS = ("file", "mood", "artist", "title", "licence", "url", "sha256", "source_sha256")


class SongList:
    """The rows, by URL; rows and columns that others have added are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._columns = list(COLUMNS)
        self._rows: dict[str, dict[str, str]] = {}
        if self.path.is_file():
            columns, rows = read_rows(self.path)
            self._columns += [name for name in columns if name and name not in COLUMNS]
            for line, row in rows:
                self._rows[row.get("url") or f"line {line}"] = row

    def find(self, url: str) -> dict[str, str] | None:
        """The row of a URL."""
        return self._rows.get(url)

    def finished(self, url: str) -> Path | None:
        """The file of a URL, if it lies where it should with the content it should have."""
        row = self.find(url)
        if row is None:
            return None
        parts = PurePosixPath(row.get("file", "")).parts
        if len(parts) != 2 or ".." in parts or parts[0] == "/":
            return None
        path = self.folder.joinpath(*parts)
        if not path.is_file() or content_key(path) != row.get("sha256"):
            return None
        return path

    def put(self, row: dict[str, str]) -> None:
        """Adds or changes the row of a URL, on the disk too."""
        self._rows[row["url"]] = {**self._rows.get(row["url"], {}), **row}
        self.write()

    def sort(self, urls: Iterable[str]) -> None:
        """Brings the rows into the order of the list; drops rows whose files are gone."""
        known = {url: self._rows[url] for url in urls if url in self._rows}
        rows = {**known, **self._rows}
        self._rows = {
            url: row for url, row in rows.items() if (self.folder / row.get("file", "")).is_file()
        }
        if self._rows or self.path.is_file():
            self.write()

    def write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self._rows.values())
        with replacing(self.path) as file:
            file.write(text.getvalue().encode())

    def stems(self, wanted: Iterable[Wanted]) -> dict[str, str]:
        """A name for each URL: its old one where it has one, else one that is free in its folder.

        Files that lie there and are none of ours keep their names and their content.
        """
        wanted = list(wanted)
        taken = {name: _names_in(self.folder / name) for name in {song.folder for song in wanted}}
        for row in self._rows.values():
            path = PurePosixPath(row.get("file", ""))
            taken.setdefault(path.parent.name, set()).add(collision_key(path.stem))
        stems = {}
        for song in wanted:
            old = PurePosixPath((self.find(song.url) or {}).get("file", ""))
            if old.parts[:-1] == (song.folder,):
                stems[song.url] = old.stem
                continue
            stem = base = song_stem(song.artist, song.title, song.url)
            number = 1
            while collision_key(stem) in taken[song.folder]:
                number += 1
                stem = f"{base} ({number})"
            taken[song.folder].add(collision_key(stem))
            stems[song.url] = stem
        return stems


def _names_in(folder: Path) -> set[str]:
    return {collision_key(path.stem) for path in folder.iterdir()} if folder.is_dir() else set()
