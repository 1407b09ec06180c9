"""The list of songs to download: a CSV with a row a song."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from melodai.data.manifest import read_rows
from melodai.data.tracks import listing
from melodai.errors import DataError, DownloadError
from melodai_studies.download.address import parse_address
from melodai_studies.download.names import safe_name
from melodai_studies.download.rules import Rules

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A song to download.

    Attributes:
        line: where it stands in the list.
        mood: in lower case.
        url: in its checked form.
        sha256: of what the server sends, where the list knows it; else empty.
    """

    line: int
    mood: str
    url: str
    host: str
    artist: str = ""
    title: str = ""
    licence: str = ""
    sha256: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder; two moods may share one, the manifest tells them apart."""
        return safe_name(self.mood)


def read_wanted(path: Path, rules: Rules) -> list[Wanted]:
    """Reads `mood, url` and where known `artist, title, licence, sha256`, in any order and case.

    A URL that is listed again with the same mood counts once.

    Raises:
        DataError: the file or some rows cannot be used; the message gives the lines.
    """
    columns, rows = read_rows(path)
    if missing := {"mood", "url"} - set(columns):
        raise DataError(
            f"{path}: the columns mood and url are needed; {listing(sorted(missing))} is missing "
            f"(found: {', '.join(columns)})"
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
    if problems:
        raise DataError(f"{path}: {listing(problems, most=10, separator='; ')}")
    if not songs:
        raise DataError(f"{path}: it lists no songs")
    return list(songs.values())


def by_host(songs: Iterable[Wanted]) -> list[list[Wanted]]:
    """The songs of each host, in the order of the list."""
    groups: dict[str, list[Wanted]] = {}
    for song in songs:
        groups.setdefault(song.host, []).append(song)
    return list(groups.values())


def checked_sha256(text: str) -> str:
    """A SHA-256 in lower case, or nothing.

    Raises:
        DownloadError: it is none.
    """
    text = text.strip().casefold()
    if text and (len(text) != 64 or not _HEX.issuperset(text)):
        raise DownloadError(f"sha256 {text[:80]!r} is not 64 hexadecimal digits")
    return text


def _wanted(line: int, row: dict[str, str], rules: Rules) -> Wanted:
    mood = row["mood"].casefold()
    if not mood:
        raise DownloadError("no mood")
    if not row["url"]:
        raise DownloadError("no url")
    address = parse_address(row["url"], rules)
    return Wanted(
        line=line,
        mood=mood,
        url=address.url,
        host=address.host,
        artist=row.get("artist", ""),
        title=row.get("title", ""),
        licence=row.get("licence") or row.get("license", ""),
        sha256=checked_sha256(row.get("sha256", "")),
    )
