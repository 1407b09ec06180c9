"""What `scripts/download_songs.py` does."""

import shlex
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from melodai.cli.console import plain_console
from melodai_studies.download.connection import Rules
from melodai_studies.download.songs import SECONDS, download_list


def download_songs(
    songs: Path = typer.Argument(
        ..., metavar="CSV", help="A row a song: mood, url; artist, title, licence, sha256."
    ),
    out: Path = typer.Option(Path("data"), help="Folder of the songs, one folder a mood in it."),
    seconds: float = typer.Option(SECONDS, min=3, help="How much of each song is kept."),
    hosts: int = typer.Option(4, min=1, max=16, help="Hosts at once, one connection each."),
    delay: float = typer.Option(
        Rules.delay_seconds, min=0, help="Seconds between two requests to a host."
    ),
    max_megabytes: float = typer.Option(
        Rules.max_bytes / 1e6, min=0, help="Larger files are refused."
    ),
    retries: int = typer.Option(Rules.retries, min=0, help="Attempts after the first."),
    allow_http: bool = typer.Option(
        False, "--allow-http", help="Plain http, too, which can be changed on the way."
    ),
    allow_private: bool = typer.Option(
        False, "--allow-private", help="Addresses of this machine and of local networks, too."
    ),
) -> None:
    """Download a list of songs into a folder per mood that melodai-train reads.

    Stopped in any way, the same command resumes.
    """
    from melodai.interrupt import Interrupted, graceful_interrupt

    rules = Rules(
        max_bytes=round(max_megabytes * 1e6),
        delay_seconds=delay,
        retries=retries,
        allow_http=allow_http,
        allow_private=allow_private,
    )
    console = plain_console(stderr=True)
    columns = (
        TextColumn("songs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[mb]:.1f} MB"),
    )
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with graceful_interrupt() as stop, bar:
        task, num_bytes = bar.add_task("", total=None, mb=0.0), 0

        def on_progress(done: int, total: int, new_bytes: int) -> None:
            nonlocal num_bytes
            num_bytes += new_bytes
            bar.update(task, completed=done, total=total, mb=num_bytes / 1e6)

        downloads = download_list(
            songs,
            out,
            rules,
            seconds=seconds,
            num_hosts=hosts,
            should_stop=lambda: stop.signal_number is not None,
            on_progress=on_progress,
        )
    counts = f"{downloads.new} downloaded, {downloads.finished} there before"
    typer.echo(f"{counts}, {len(downloads.failures)} failed")
    for line, url, reason in downloads.failures:
        typer.echo(f"  line {line}: {url}: {reason}", err=True)
    if downloads.new or downloads.finished:
        typer.echo(f"Train on them:  melodai-train --data {shlex.quote(str(downloads.manifest))}")
    if stop.signal_number is not None and downloads.num_left:
        typer.echo(f"Stopped; {downloads.num_left} songs are left: the same command resumes.")
        raise Interrupted(stop.signal_number)
    if downloads.failures:
        raise typer.Exit(1)
