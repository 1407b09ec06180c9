"""The list of songs to download: a CSV with a row a song."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from melodai.data.manifest import read_rows
from melodai.data.tracks import listing
from melodai.errors import DataError, DownloadError
from melodai.file_names import safe_name
from melodai_studies.download.connection import Rules, parse_url


class Wanted(NamedTuple):
    """A song to download.

    Attributes:
        line: where it stands in the list.
        mood: in lower case.
        sha256: of what the server sends, where the list knows it; else empty.
    """

    line: int
    mood: str
    url: str
    artist: str
    title: str
    licence: str
    sha256: str

    @property
    def folder(self) -> str:
        """Name of its folder; two moods may share one, the manifest tells them apart."""
        return safe_name(self.mood)

    @property
    def stem(self) -> str:
        """Its file's name: "artist - title", or what is known of it, or the end of the URL."""
        if self.artist or self.title:
            return safe_name(" - ".join(filter(None, (self.artist, self.title))))
        name = unquote(urlsplit(self.url).path.rstrip("/").rpartition("/")[2])
        return safe_name(name.rpartition(".")[0] or name)


def read_wanted(path: Path, rules: Rules) -> list[Wanted]:
    """Reads `mood, url` and where known `artist, title, licence, sha256`.

    A URL that is listed again with the same mood counts once.

    Raises:
        DataError: the file or some rows cannot be used; the message gives the lines.
    """
    columns, rows = read_rows(path)
    if missing := {"mood", "url"} - set(columns):
        raise DataError(
            f"{path}: the columns mood and url are needed; {listing(missing)} is missing"
        )
    songs: dict[str, Wanted] = {}
    problems = []
    for line, row in rows:
        try:
            song = _wanted(line, row, rules)
            earlier = songs.setdefault(song.url, song)
            if (earlier.mood, earlier.sha256) != (song.mood, song.sha256):
                raise DownloadError(f"{song.url} is on line {earlier.line}, with other values")
        except DownloadError as error:
            problems.append(f"line {line}: {error}")
    if problems or not songs:
        raise DataError(f"{path}: {listing(problems, separator='; ') or 'it lists no songs'}")
    return list(songs.values())


def _wanted(line: int, row: dict[str, str], rules: Rules) -> Wanted:
    mood, sha256 = row["mood"].casefold(), row.get("sha256", "").casefold()
    if not mood:
        raise DownloadError("no mood")
    if not row["url"]:
        raise DownloadError("no url")
    if not re.fullmatch("([0-9a-f]{64})?", sha256):
        raise DownloadError(f"sha256 {sha256[:80]!r} is not 64 hexadecimal digits")
    url = str(parse_url(row["url"], rules))
    licence = row.get("licence") or row.get("license", "")
    return Wanted(line, mood, url, row.get("artist", ""), row.get("title", ""), licence, sha256)
