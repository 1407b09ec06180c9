"""A list of URLs becomes a folder of songs that can be trained on.

<out>/<mood>/<artist - title>.<suffix>    the first seconds of each song
<out>/manifest.csv                        what they are and where they come from
<out>/.download/                          what is on its way; empty when all is done
"""

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from melodai.data.store import content_key
from melodai.errors import AudioError, DownloadError, MelodaiError
from melodai_studies.download.connection import refuse_proxies
from melodai_studies.download.hosts import Hosts
from melodai_studies.download.locking import only_one
from melodai_studies.download.obtain import obtain
from melodai_studies.download.rules import NUM_HOSTS, SECONDS, Rules, Stopped
from melodai_studies.download.song_list import NAME, SongList
from melodai_studies.download.transfer import Transfer
from melodai_studies.download.trim import trim_in_child
from melodai_studies.download.wanted import Wanted, by_host, read_wanted

logger = logging.getLogger(__name__)

WORK = ".download"
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Failure:
    """A song that could not be had."""

    song: Wanted
    reason: str


@dataclass(kw_only=True)
class Downloads:
    """What became of a list of songs.

    Attributes:
        finished: that were there before.
        ways: how the new songs were cut (see `trim.Trimmed`), and how many so.
        num_left: songs not dealt with, because the user stopped.
    """

    manifest: Path
    finished: int = 0
    ways: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    num_left: int = 0


def download_list(
    path: Path,
    out: Path,
    rules: Rules,
    *,
    seconds: float = SECONDS,
    num_hosts: int = NUM_HOSTS,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int, int, int], None] = lambda done, total, num_bytes: None,
) -> Downloads:
    """Downloads the songs of a CSV (see `wanted`) that are not there yet.

    Several hosts at once, one song a host at a time. Whatever ends the program, the same call goes
    on where it was.

    Args:
        seconds: of each song that are kept.
        num_hosts: at once.
        on_progress: called with (songs done, songs in all, new bytes).

    Raises:
        DataError: the list cannot be used; nothing was downloaded.
        SettingError: the environment names a proxy.
        MelodaiError: the folder cannot be written, or is in use.
    """
    wanted = read_wanted(path, rules)
    refuse_proxies((song.host for song in wanted), rules)
    try:
        (out / WORK).mkdir(parents=True, exist_ok=True)
        with only_one(out / WORK / "lock"):
            _remove_abandoned(out)
            job = _Job(out, rules, seconds, should_stop, on_progress)
            job.run(wanted, num_hosts)
    except OSError as error:
        raise MelodaiError(
            f"cannot write to {out}: {error.strerror or error}; run again when that is mended"
        ) from error
    return job.downloads


def _remove_abandoned(out: Path) -> None:
    """Removes what a killed run left half-written, but for what can be gone on with."""
    for path in [*(out / WORK).iterdir(), *out.glob(f"{NAME}.*.tmp")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "lock" and not path.name.endswith((".part", ".part.json")):
            path.unlink(missing_ok=True)


class _Job:
    """One run over a list; its methods below `run` are called by several threads."""

    def __init__(
        self,
        out: Path,
        rules: Rules,
        seconds: float,
        should_stop: Callable[[], bool],
        on_progress: Callable[[int, int, int], None],
    ) -> None:
        self._out, self._rules, self._seconds = out, rules, seconds
        self._on_progress = on_progress
        self._is_over = threading.Event()
        self._should_stop = lambda: self._is_over.is_set() or should_stop()
        self._hosts = Hosts(rules.delay_seconds)
        self._list = SongList(out)
        self._lock = threading.Lock()
        self._done = self._total = 0
        self.downloads = Downloads(manifest=self._list.path)

    def run(self, wanted: list[Wanted], num_hosts: int) -> None:
        self._total = len(wanted)
        stems = self._list.stems(wanted)
        pending = [song for song in wanted if not self._is_finished(song, stems[song.url])]
        pool = ThreadPoolExecutor(num_hosts)
        try:
            futures = [pool.submit(self._run_host, group, stems) for group in by_host(pending)]
            waiting = set(futures)
            while waiting:  # in short waits, between which Ctrl-C is heard on every system
                done, waiting = wait(waiting, _POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            self._is_over.set()  # also when this thread was interrupted: the others end soon
            pool.shutdown()
            self._list.sort(song.url for song in wanted)
        self.downloads.num_left = self._total - self._done
        self.downloads.failures.sort(key=lambda failure: failure.song.line)

    def _run_host(self, songs: list[Wanted], stems: dict[str, str]) -> None:
        for song in songs:
            try:
                how = self._obtain(song, stems[song.url])
            except Stopped:
                return
            except (DownloadError, AudioError) as error:
                logger.info("line %d: %s: %s", song.line, song.url, error)
                with self._lock:
                    self.downloads.failures.append(Failure(song, str(error)))
            else:
                with self._lock:
                    self.downloads.ways[how] = self.downloads.ways.get(how, 0) + 1
            self._count()

    def _count(self, num_bytes: int = 0, songs: int = 1) -> None:
        with self._lock:
            self._done += songs
            self._on_progress(self._done, self._total, num_bytes)

    def _is_finished(self, song: Wanted, stem: str) -> bool:
        """Whether it lies there; moves it where the list gives it another mood than before."""
        path = self._list.finished(song.url)
        row = self._list.find(song.url)
        if path is None or (song.sha256 and row.get("source_sha256") != song.sha256):
            return False
        place = self._out / song.folder / f"{stem}{path.suffix}"
        if (path.parent.name, row["mood"]) != (song.folder, song.mood):
            place.parent.mkdir(exist_ok=True)
            os.replace(path, place)
            self._list.put({**row, **self._where(place, song)})
        self.downloads.finished += 1
        self._count()
        return True

    def _obtain(self, song: Wanted, stem: str) -> str:
        """Fetches, checks, cuts and files a song; says how it was cut."""
        work = self._out / WORK / hashlib.sha256(song.url.encode()).hexdigest()[:24]
        transfer = Transfer(
            song.url,
            work.with_suffix(".part"),
            rules=self._rules,
            hosts=self._hosts,
            should_stop=self._should_stop,
            on_bytes=lambda count: self._count(count, songs=0),
        )
        try:
            source, sha256 = obtain(
                transfer, song.url, song.sha256, work, self._rules, self._should_stop
            )
            trimmed = trim_in_child(source, work, self._seconds)
        except AudioError as error:
            transfer.part.discard()
            raise DownloadError(f"not usable as audio: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)  # what came from a page
        place = self._out / song.folder / f"{stem}{trimmed.path.suffix}"
        place.parent.mkdir(exist_ok=True)
        row = {
            **self._where(place, song),
            "artist": song.artist or trimmed.tags.artist or "",
            "title": song.title or trimmed.tags.title or "",
            "licence": song.licence,
            "url": song.url,
            "sha256": content_key(trimmed.path),
            "source_sha256": sha256,
        }
        with self._lock:
            self._list.put(row)
        os.replace(trimmed.path, place)
        transfer.part.discard()
        return trimmed.how

    def _where(self, place: Path, song: Wanted) -> dict[str, str]:
        return {"file": f"{song.folder}/{place.name}", "mood": song.mood}
