"""A list of URLs becomes a folder of songs that can be trained on.

<out>/<mood>/<artist - title>.<suffix>    the first seconds of each song
<out>/manifest.csv                        what they are and where they come from
<out>/.download/                          what is on its way; empty when all is done
"""

import csv
import hashlib
import io
import itertools
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import filelock
import httpx2

from melodai.data.manifest import read_rows
from melodai.errors import AudioError, DownloadError, MelodaiError
from melodai.file_names import collision_key
from melodai.files import file_digest, replacing
from melodai_studies.download.connection import Rules, Stopped, open_client
from melodai_studies.download.page import fetch_from_page
from melodai_studies.download.transfer import PageError, discard, fetch
from melodai_studies.download.trim import trim_in_child
from melodai_studies.download.wanted import Wanted, read_wanted

SECONDS = 90.0  # of each song, as the study kept them
COLUMNS = ("file", "mood", "artist", "title", "licence", "url", "sha256", "source_sha256")


@dataclass(kw_only=True)
class Downloads:
    """What became of a list of songs.

    Attributes:
        finished, new: that were there before; that came now.
        failures: line of the list, URL and reason.
        num_left: songs not reached, because the user stopped.
    """

    manifest: Path
    finished: int = 0
    new: int = 0
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    num_left: int = 0


def download_list(
    path: Path,
    out: Path,
    rules: Rules,
    *,
    seconds: float = SECONDS,
    num_hosts: int = 4,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int, int, int], None] = lambda done, total, num_bytes: None,
) -> Downloads:
    """Downloads the songs of a CSV (see `wanted`) that are not there yet; called again, it resumes.

    Several hosts at once, one song a host at a time.

    Args:
        seconds: of each song that are kept.
        on_progress: called with (songs done, songs in all, new bytes).

    Raises:
        DataError: the list cannot be used; nothing was downloaded.
        MelodaiError: the folder cannot be written, or is in use.
    """
    wanted = read_wanted(path, rules)
    work = out / ".download"
    try:
        work.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(work / "lock", timeout=0):
            job = _Job(out, rules, seconds, should_stop, on_progress)
            return job.run(wanted, num_hosts)
    except filelock.Timeout:
        raise MelodaiError(f"another download into {out} is running; wait for it") from None
    except OSError as error:
        raise MelodaiError(f"cannot write to {out}: {error.strerror or error}") from error


class _Job:
    """One run over a list; what follows `run` is called by several threads."""

    def __init__(
        self,
        out: Path,
        rules: Rules,
        seconds: float,
        should_stop: Callable[[], bool],
        on_progress: Callable[[int, int, int], None],
    ) -> None:
        self._out, self._rules, self._seconds = out, rules, seconds
        self._on_progress, self._total = on_progress, 0
        self._is_over, self._lock = threading.Event(), threading.RLock()
        self._should_stop = lambda: self._is_over.is_set() or should_stop()
        self.downloads = Downloads(manifest=out / "manifest.csv")
        # Rows and columns that others have added to the manifest are kept.
        self._columns, self._rows = list(COLUMNS), {}
        if self.downloads.manifest.is_file():
            columns, rows = read_rows(self.downloads.manifest)
            self._columns += [name for name in columns if name and name not in COLUMNS]
            self._rows = {row.get("url") or f"line {line}": row for line, row in rows}

    def run(self, wanted: list[Wanted], num_hosts: int) -> Downloads:
        self._total = len(wanted)
        hosts: dict[str, list[Wanted]] = defaultdict(list)
        for song in wanted:
            if not self._is_finished(song):
                hosts[urlsplit(song.url).netloc].append(song)
        with open_client(self._rules, self._should_stop) as client:
            pool = ThreadPoolExecutor(num_hosts)
            try:
                waiting = {pool.submit(self._run_host, client, songs) for songs in hosts.values()}
                while waiting:  # in short waits, so that Ctrl-C is noticed on every system
                    done, waiting = wait(waiting, 0.5)
                    for future in done:
                        future.result()
            finally:
                self._is_over.set()  # also when this thread was interrupted: the others end soon
                pool.shutdown()
                order = [song.url for song in wanted if song.url in self._rows]
                self._rows = {url: self._rows[url] for url in [*order, *self._rows]}
                self._write_manifest()
        self.downloads.num_left = self._total - self._num_done
        self.downloads.failures.sort()
        return self.downloads

    def _run_host(self, client: httpx2.Client, songs: list[Wanted]) -> None:
        for song in songs:
            try:
                self._download(client, song)
                self.downloads.new += 1
            except Stopped:
                return
            except (DownloadError, AudioError) as error:
                self.downloads.failures.append((song.line, song.url, str(error)))
            self._tell()

    @property
    def _num_done(self) -> int:
        return self.downloads.finished + self.downloads.new + len(self.downloads.failures)

    def _tell(self, num_bytes: int = 0) -> None:
        self._on_progress(self._num_done, self._total, num_bytes)

    def _place(self, song: Wanted) -> Path | None:
        """Where the manifest has it."""
        parts = PurePosixPath(self._rows.get(song.url, {}).get("file", "")).parts
        is_inside = len(parts) == 2 and ".." not in parts and parts[0] != "/"
        return self._out.joinpath(*parts) if is_inside else None

    def _is_finished(self, song: Wanted) -> bool:
        """Whether it is there with its content; moved where the list gives it another mood."""
        row, place = self._rows.get(song.url, {}), self._place(song)
        if place is None or not place.is_file() or file_digest(place) != row.get("sha256"):
            return False
        if song.sha256 not in ("", row.get("source_sha256")):
            return False
        if (place.parent.name, row["mood"]) != (song.folder, song.mood):
            self._file(song, place, row)
        self.downloads.finished += 1
        self._tell()
        return True

    def _download(self, client: httpx2.Client, song: Wanted) -> None:
        """Fetches, checks, cuts and files a song."""
        work = self._out / ".download" / hashlib.sha256(song.url.encode()).hexdigest()[:24]
        part = source = work.with_suffix(".part")
        try:
            try:
                found = fetch(
                    client,
                    song.url,
                    part,
                    self._rules,
                    should_stop=self._should_stop,
                    on_bytes=self._tell,
                )
            except PageError:
                discard(part)
                source = fetch_from_page(song.url, work, self._rules)
                found = file_digest(source)
            if song.sha256 not in ("", found):
                raise AudioError(f"another file than expected (SHA-256 {found[:16]}…)")
            trimmed = trim_in_child(source, work, self._seconds)
        except AudioError as error:
            discard(part)
            raise DownloadError(f"not usable as audio: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)  # what came from a page
        row = {
            "artist": song.artist or trimmed.tags.artist or "",
            "title": song.title or trimmed.tags.title or "",
            "licence": song.licence,
            "url": song.url,
            "sha256": file_digest(trimmed.path),
            "source_sha256": found,
        }
        self._file(song, trimmed.path, row)
        discard(part)

    def _file(self, song: Wanted, path: Path, row: dict[str, str]) -> None:
        """Moves a song to its place. Its row is written before, so that no file is unknown."""
        with self._lock:
            folder, old = self._out / song.folder, self._place(song)
            folder.mkdir(exist_ok=True)
            taken = {collision_key(other.stem) for other in folder.iterdir()}
            stems = (f"{song.stem} ({number})" for number in itertools.count(2))
            stem = next(
                stem
                for stem in (song.stem, *itertools.islice(stems, len(taken)))
                if collision_key(stem) not in taken
            )
            if old is not None and old.parent == folder:
                stem = old.stem
            place = folder / (stem + path.suffix)
            row = row | {"file": f"{song.folder}/{place.name}", "mood": song.mood}
            self._rows[song.url] = self._rows.get(song.url, {}) | row
            self._write_manifest()
            os.replace(path, place)

    def _write_manifest(self) -> None:
        if self._rows:
            text = io.StringIO()
            writer = csv.DictWriter(text, self._columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self._rows.values())
            with replacing(self.downloads.manifest) as file:
                file.write(text.getvalue().encode())
