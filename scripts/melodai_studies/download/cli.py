"""What `scripts/download_songs.py` and `scripts/fetch_url.py` do."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melodai_studies.download.rules import NUM_HOSTS, SECONDS, Rules

if TYPE_CHECKING:
    from rich.progress import Progress

    from melodai_studies.download.songs import Downloads

MAX_MEGABYTES = typer.Option(Rules.max_bytes / 1e6, min=0, help="Larger files are refused.")
ALLOW_HTTP = typer.Option(False, "--allow-http", help="Plain http, too, which can be changed.")
ALLOW_PRIVATE = typer.Option(
    False, "--allow-private", help="Addresses of this machine and of local networks, too."
)
IGNORE_PROXY = typer.Option(
    False, "--ignore-proxy", help="Connect directly though the environment names a proxy."
)
CONNECT = typer.Option(Rules.connect_seconds, min=0.1, help="Seconds for a connection.")
STALL = typer.Option(Rules.stall_seconds, min=0.1, help="Seconds without a byte.")
TOTAL = typer.Option(Rules.total_seconds, min=0.1, help="Seconds for one file, retries included.")
RETRIES = typer.Option(Rules.retries, min=0, help="Attempts after the first.")
BACKOFF = typer.Option(
    Rules.backoff_seconds, min=0, help="Seconds before the first retry; doubled before each other."
)


def download_songs(
    songs: Path = typer.Argument(
        ..., metavar="CSV", help="A row a song: mood, url; artist, title, licence, sha256."
    ),
    out: Path = typer.Option(Path("data"), help="Folder of the songs, one folder a mood in it."),
    seconds: float = typer.Option(SECONDS, min=3, help="How much of each song is kept."),
    hosts: int = typer.Option(NUM_HOSTS, min=1, max=16, help="Hosts at once, one connection each."),
    delay: float = typer.Option(
        Rules.delay_seconds, min=0, help="Seconds between two requests to a host."
    ),
    max_megabytes: float = MAX_MEGABYTES,
    retries: int = RETRIES,
    backoff: float = BACKOFF,
    connect_seconds: float = CONNECT,
    stall_seconds: float = STALL,
    total_seconds: float = TOTAL,
    allow_http: bool = ALLOW_HTTP,
    allow_private: bool = ALLOW_PRIVATE,
    ignore_proxy: bool = IGNORE_PROXY,
) -> None:
    """Download a list of songs into a folder per mood that melodai-train reads.

    Stopped in any way, the same command goes on where it was.
    """
    from melodai.interrupt import Interrupted, graceful_interrupt
    from melodai_studies.download.songs import download_list

    rules = Rules(
        max_bytes=round(max_megabytes * 1e6), delay_seconds=delay, retries=retries,
        backoff_seconds=backoff, connect_seconds=connect_seconds, stall_seconds=stall_seconds,
        total_seconds=total_seconds, allow_http=allow_http, allow_private=allow_private,
        ignore_proxy=ignore_proxy,
    )  # fmt: skip
    with graceful_interrupt() as wish, _progress() as progress:
        files = progress.add_task("songs", total=None, size="")
        num_bytes = 0

        def on_progress(done: int, total: int, new_bytes: int) -> None:
            nonlocal num_bytes
            num_bytes += new_bytes
            size = f"{num_bytes / 1e6:.1f} MB"
            progress.update(files, completed=done, total=total, size=size)

        downloads = download_list(
            songs, out, rules, seconds=seconds, num_hosts=hosts,
            should_stop=lambda: wish.signal_number is not None, on_progress=on_progress,
        )  # fmt: skip
    _report(downloads)
    if wish.signal_number is not None and downloads.num_left:
        typer.echo(
            f"Stopped; {downloads.num_left} songs are left. What came is kept: "
            "the same command goes on."
        )
        raise Interrupted(wish.signal_number)
    if downloads.failures:
        raise typer.Exit(1)


def fetch_url(
    url: str = typer.Argument(..., help="An https address of an audio file."),
    out: Path = typer.Argument(..., help="The file it becomes, or a folder."),
    sha256: str = typer.Option("", help="The SHA-256 it must have."),
    max_megabytes: float = MAX_MEGABYTES,
    retries: int = RETRIES,
    backoff: float = BACKOFF,
    connect_seconds: float = CONNECT,
    stall_seconds: float = STALL,
    total_seconds: float = TOTAL,
    allow_http: bool = ALLOW_HTTP,
    allow_private: bool = ALLOW_PRIVATE,
    ignore_proxy: bool = IGNORE_PROXY,
) -> None:
    """Download one audio file, whole.

    Stopped in any way, the same command goes on where it was.
    """
    from melodai.interrupt import Interrupted, graceful_interrupt
    from melodai_studies.download.rules import Stopped
    from melodai_studies.download.single import fetch_one

    rules = Rules(
        max_bytes=round(max_megabytes * 1e6), retries=retries, backoff_seconds=backoff,
        connect_seconds=connect_seconds, stall_seconds=stall_seconds, total_seconds=total_seconds,
        allow_http=allow_http, allow_private=allow_private, ignore_proxy=ignore_proxy,
    )  # fmt: skip
    with graceful_interrupt() as wish, _progress() as progress:
        task = progress.add_task("receiving", total=None, size="")
        num_bytes = 0

        def on_bytes(count: int) -> None:
            nonlocal num_bytes
            num_bytes += count
            progress.update(task, size=f"{num_bytes / 1e6:.1f} MB")

        try:
            fetched = fetch_one(
                url, out, rules, sha256=sha256, on_bytes=on_bytes,
                should_stop=lambda: wish.signal_number is not None,
            )  # fmt: skip
        except Stopped:
            typer.echo("Stopped. What came is kept: the same command goes on.")
            raise Interrupted(wish.signal_number or signal.SIGINT) from None
    state = "is new" if fetched.is_new else "was there already"
    typer.echo(f"{fetched.path} {state}, SHA-256 {fetched.sha256}")


def _report(downloads: "Downloads") -> None:
    new = sum(downloads.ways.values())
    typer.echo(
        f"{new} downloaded, {downloads.finished} there before, {len(downloads.failures)} failed"
    )
    if encoded := downloads.ways.get("encoded"):
        typer.echo(f"{encoded} of them became FLAC: their own format cannot be cut without a loss")
    for failure in downloads.failures:
        song = failure.song
        typer.echo(f"  line {song.line}: {song.url}: {failure.reason}", err=True)
    if new or downloads.finished:
        typer.echo(f"Train on them:  melodai-train --data {shlex.quote(str(downloads.manifest))}")


@contextmanager
def _progress() -> Iterator["Progress"]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from melodai.cli.console import plain_console

    console = plain_console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[size]}"), console=console, transient=True,
        disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        yield progress
