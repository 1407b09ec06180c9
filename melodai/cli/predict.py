"""`melodai-predict`."""

import dataclasses
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melodai.errors import SettingError
from melodai.labels import AUTO

if TYPE_CHECKING:
    from rich.console import Console

    from melodai.interrupt import Interrupted
    from melodai.predict.predictor import Predictor
    from melodai.predict.result_file import ResultFile
    from melodai.predict.results import SongMood
    from melodai.predict.songs import Songs
    from melodai.predict.tags import TagReport

EPILOG = """\
[bold]Examples[/bold]

melodai-predict song.mp3 my-music list.m3u8

melodai-predict my-music --out moods.csv   [dim]# Ctrl-C at any time; --resume goes on[/dim]

melodai-predict my-music --model runs/mine --playlists moods --min-confidence 0.6

melodai-predict my-music --tags --dry-run

torchrun --nproc-per-node 2 -m melodai.cli.main predict my-music --out moods.csv

Exit codes: 0 every song has an answer; 1 some could not be listened to (they are listed, and their
rows say why); 2 wrong argument; 3 no songs; 4 no model; 130 Ctrl-C; 143 SIGTERM."""


def predict(
    context: typer.Context,
    places: list[Path] | None = typer.Argument(
        None, metavar="PATH", help="Files, folders (and all below), playlists (m3u8, pls, xspf, …)."
    ),
    model: Path | None = typer.Option(
        None, help="A run folder, an exported folder or ONNX file, or a network whose tags are "
        "read as moods, as jamendo-vgg.  \\[default: the model that comes with melodai]",
    ),
    moods: str = typer.Option(
        AUTO, metavar="[three|quadrants]", help="Of the models that come with melodai."
    ),
    out: Path | None = typer.Option(None, metavar="FILE", help="Write a row for each song here."),
    format_name: str | None = typer.Option(
        None, "--format", metavar="[csv|json|jsonl]",
        help="Of --out; without --out, of the answers on the terminal.  [default: as --out is "
        "named]",
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Go on with --out: songs that have a row are left out."
    ),
    force: bool = typer.Option(False, "--force", help="Start over if --out is there already."),
    min_confidence: float = typer.Option(
        0.0, min=0.0, max=1.0, help="Say 'unsure' where the likeliest mood is less probable."
    ),
    playlists: Path | None = typer.Option(
        None, metavar="FOLDER", help="Write a playlist (m3u8) of each mood here."
    ),
    timeline: Path | None = typer.Option(
        None, metavar="FOLDER", help="Write the moods over time of each song here."
    ),
    tags: bool = typer.Option(False, "--tags", help="Write the mood into the files' own tags."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what --tags would write."),
    undo: Path | None = typer.Option(
        None, metavar="FILE", help="Take back what --tags wrote, by the undo file it left."
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
    precision: str = typer.Option(
        "float32", metavar="[float32|bfloat16]",
        help="Arithmetic: float32, in which models are calibrated, or bfloat16 for speed."
    ),
    batch_size: int = typer.Option(16, min=1, help="Windows that go through the network at once."),
    num_decoders: int | None = typer.Option(
        None, min=1, help="Processes that decode files.  [default: number of cores]"
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Name every song as it is done."),
) -> None:  # fmt: skip
    """Say the mood of songs: as a table, a file, playlists, tags or a timeline."""
    if undo is not None:
        _undo(undo)
        return
    if not places:
        typer.echo(context.get_help())
        return
    if dry_run and not tags:
        raise SettingError("--dry-run says what --tags would write; give both")
    if (resume or force) and out is None:
        raise SettingError("--resume and --force are about --out FILE; name it")
    # Threads of the network that wait for each other would keep the decoders from the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.addLevelName(logging.WARNING, "warning")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")

    from melodai.cli.console import plain_console, readable
    from melodai.cli.moods import listening, print_changes
    from melodai.data.cache import num_cores
    from melodai.interrupt import Interrupted
    from melodai.predict.playlists import check_are_ours
    from melodai.predict.predictor import Predictor
    from melodai.predict.result_file import ResultFile, format_of
    from melodai.predict.run import predict_into, settings_of
    from melodai.predict.shares import decoders_of_rank, joined
    from melodai.predict.songs import find_songs
    from melodai.zero_shot import open_model

    kind = format_of(out, format_name) if out or format_name else "jsonl"
    songs = find_songs(places)
    predictor = Predictor(
        open_model(model, moods), device=device, precision=precision,
        batch_size=batch_size, num_decoders=num_decoders or decoders_of_rank(num_cores()),
        min_confidence=min_confidence, hears_all=timeline is not None,
    )  # fmt: skip
    if playlists is not None:
        check_are_ours(playlists / f"{mood}.m3u8" for mood in predictor.moods)
    # With rows on stdout, words for people go to stderr.
    console = plain_console(stderr=out is None and format_name is not None)
    # Without a file of the user's own, the rows wait in a temporary one.
    place = tempfile.TemporaryDirectory(prefix="melodai-") if out is None else nullcontext("")
    with joined() as share, place as folder:
        if share.world_size > 1 and out is None:
            raise SettingError("several processes need --out FILE to put their answers together")
        path = out or Path(folder, f"moods.{kind}")
        result = ResultFile(path, kind, predictor.moods, settings_of(predictor))
        if share.is_first:
            result.prepare(resume=resume, force=force)
        try:
            words = plain_console(stderr=True)
            with listening(words, is_shown=share.is_first, names_songs=verbose) as watcher:
                predict_into(
                    result, predictor, songs.paths, share=share, watcher=watcher,
                    before_row=_timeline_writer(timeline),
                )  # fmt: skip
        except Interrupted as interrupt:
            if share.is_first:
                _say_how_to_go_on(console, interrupt, result, out)
            interrupt.is_explained = True
            raise
        if not share.is_first:
            return
        # What is to be kept comes before what is shown.
        result.finish()
        lists, report = [], None
        try:
            if playlists is not None:
                lists = _write_playlists(result, songs, playlists)
            if tags:
                report = _write_tags(console, result, dry_run)
        finally:
            num_failed = _show(console, result, predictor, songs, out)
        if timeline is not None:
            console.print(f"Timeline: {readable(timeline)}")
        for path in lists:
            console.print(f"Playlist: {readable(path)}")
        if report is not None:
            print_changes(
                console, report, "to be given a mood" if dry_run else "given a mood", dry_run
            )
            num_failed += len(report.skipped)
        result.discard_journal()
    if num_failed:
        raise typer.Exit(1)


def _show(
    console: "Console", result: "ResultFile", predictor: "Predictor", songs: "Songs",
    out: Path | None,
) -> int:  # fmt: skip
    """Says what became of the songs; how many have no mood."""
    from melodai.cli.console import readable
    from melodai.cli.moods import print_left_out, print_summary
    from melodai.predict.summary import summarise

    summary = summarise(result.rows())
    if console.stderr:
        sys.stdout.flush()
        with result.path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        print_summary(console, summary, predictor.moods)
    print_left_out(console, summary, songs, out)
    for remark in _remarks(predictor):
        console.print(remark)
    if out is not None:
        console.print(f"Answers:  {readable(out)}")
    return summary.num_failed


def _remarks(predictor: "Predictor") -> list[str]:
    """What must be said with any answer of the model."""
    bundle = predictor.bundle
    remarks = [predictor.model.note] if predictor.model.note else []
    if not bundle.is_calibrated:
        remarks.append(
            f"The probabilities are not calibrated; melodai-evaluate {bundle.source} does that"
        )
    return remarks


def _timeline_writer(folder: Path | None) -> "Callable[[SongMood], None]":
    if folder is None:
        return lambda song: None
    from melodai.predict.timeline import write_timeline

    folder.mkdir(parents=True, exist_ok=True)
    return lambda song: write_timeline(song, folder)


def _say_how_to_go_on(
    console: "Console", interrupt: "Interrupted", result: "ResultFile", out: Path | None
) -> None:
    from melodai.cli.moods import command_to_go_on, print_summary
    from melodai.predict.summary import summarise

    if out is None:
        print_summary(console, summarise(result.rows()), result.moods)
        words = f"{interrupt}; with --out FILE it could be gone on with"
    else:
        words = f"{interrupt}; every answer is in the file. Go on with:  {command_to_go_on()}"
    console.print(words)


def _write_playlists(result: "ResultFile", songs: "Songs", folder: Path) -> list[Path]:
    from melodai.predict.playlists import write_playlists

    # In the order in which the songs were found, not in that in which they were answered.
    rows = {os.path.realpath(result.path_of(row)): row for row in result.rows() if row.mood}
    answers = (
        dataclasses.replace(rows[place], file=str(path))
        for path in songs.paths
        if (place := os.path.realpath(path)) in rows
    )
    return write_playlists(answers, folder, result.moods)


def _write_tags(console: "Console", result: "ResultFile", dry_run: bool) -> "TagReport":
    from melodai.predict.results import UNSURE
    from melodai.predict.tags import write_moods

    answers = (
        (result.path_of(row), row.mood) for row in result.rows() if row.mood not in (None, UNSURE)
    )
    undo_file = Path(f"melodai-tags-{time.strftime('%Y%m%d-%H%M%S')}.undo")
    if not dry_run:
        console.print(f"Writing tags; to take them back:  melodai-predict --undo {undo_file}")
    return write_moods(answers, undo_file=undo_file, dry_run=dry_run)


def _undo(undo_file: Path) -> None:
    from melodai.cli.console import plain_console
    from melodai.cli.moods import print_changes
    from melodai.predict.tags import undo

    report = undo(undo_file)
    print_changes(plain_console(), report, "as before", is_listed=False)
    if report.skipped:
        raise typer.Exit(1)


predict.epilog = EPILOG  # type: ignore[attr-defined]
