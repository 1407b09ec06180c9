"""Moods on the terminal: a bar while songs are listened to, then a table."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from melodai.cli.console import readable
from melodai.cli.table import print_songs
from melodai.predict.run import Answer, Watcher
from melodai.predict.songs import Songs
from melodai.predict.summary import Summary
from melodai.predict.tags import TagReport

# A table is read up to this many rows; of more songs a few are shown, and counts.
MOST_ROWS, FEW_ROWS = 40, 15


class _Speed(ProgressColumn):
    """Over all songs so far: they come in batches, so that the last few tell little."""

    def render(self, task: Task) -> Text:
        if not task.completed or not task.elapsed:
            return Text("")
        speed = task.completed / task.elapsed
        left = timedelta(seconds=round((task.total - task.completed) / speed))
        return Text(f"{speed:.1f} songs/s, {left} left")


@contextmanager
def listening(console: Console, *, is_shown: bool, names_songs: bool) -> Iterator[Watcher]:
    """A bar with songs a second and the time left; each song by name if wanted."""
    columns = (TextColumn("listening"), BarColumn(), MofNCompleteColumn(), _Speed())
    with Progress(
        *columns, console=console, transient=True, disable=not (is_shown and console.is_terminal)
    ) as progress:
        task = progress.add_task("listening", total=None)

        def start(num_songs: int, num_done: int) -> None:
            progress.update(task, total=num_songs)
            if num_done and is_shown:
                console.print(f"{_counted(num_done, 'song')} answered already, {num_songs} to go")

        def answer(said: Answer) -> None:
            progress.advance(task)
            if names_songs:
                console.print(_line(said))

        yield Watcher(start, answer)


def _line(said: Answer) -> str:
    if hasattr(said, "reason"):
        return f"{readable(said.path)}: {said.reason}"
    return f"{readable(said.file)}: {said.mood} {said.confidence:.2f}"


def print_summary(console: Console, summary: Summary, moods: tuple[str, ...]) -> None:
    """The songs with their moods where they are few, else the first of them and counts."""
    rows = summary.shown
    num_moods = summary.num_rows - summary.num_failed
    if num_moods > MOST_ROWS:
        rows = rows[:FEW_ROWS]
    if rows:
        print_songs(console, rows, moods)
    if num_moods > len(rows):
        console.print(f"… and {num_moods - len(rows)} more")
    counts = [
        f"{readable(mood)} {n} ({n / num_moods:.0%})" for mood, n in summary.moods.most_common()
    ]
    said = f"{_counted(num_moods, 'song')}: {', '.join(counts)}"
    console.print(said if counts else "No song has an answer")
    if summary.num_unfamiliar:
        console.print(
            f"{_counted(summary.num_unfamiliar, 'song')} far from what the model learned "
            "(unfamiliar): what is said of them means little"
        )


def print_left_out(console: Console, summary: Summary, songs: Songs, out: Path | None) -> None:
    """What has no mood, and why; what was not heard as it is."""
    for number, kind in (
        (songs.num_duplicates, "named again and taken once"),
        (songs.num_ignored, "in the folders not audio and ignored"),
    ):
        if number:
            console.print(f"{_counted(number, 'file')} {kind}")
    if songs.skipped:
        console.print("Left out:")
        skipped = [f"{readable(entry.what)}: {entry.reason}" for entry in songs.skipped]
        _print_some(console, skipped, len(skipped), None)
    if summary.num_remarked:
        lost = f" ({summary.lost_seconds:.1f} s lost in all)" if summary.lost_seconds else ""
        console.print(f"{_counted(summary.num_remarked, 'file')} with a remark{lost}:")
        remarked = [f"{readable(row.file)}: {row.remarks}" for row in summary.remarked]
        _print_some(console, remarked, summary.num_remarked, out)
    if summary.num_failed:
        console.print(f"{_counted(summary.num_failed, 'file')} could not be listened to:")
        failed = [f"{readable(row.file)}: {row.error}" for row in summary.failed]
        _print_some(console, failed, summary.num_failed, out)


def print_changes(console: Console, report: TagReport, verb: str, is_listed: bool) -> None:
    """What became of the files' tags."""
    count = f"{_counted(len(report.changes), 'file')} {verb}"
    console.print(f"{count}, {report.num_unchanged} did not need it")
    if is_listed:
        changes = [
            f"{readable(change.path)}: {_moods(change.before)} -> {_moods(change.after)}"
            for change in report.changes
        ]
        _print_some(console, changes, len(changes), None)
    if report.skipped:
        console.print(f"{_counted(len(report.skipped), 'file')} left alone:")
        skipped = [f"{readable(failure.path)}: {failure.reason}" for failure in report.skipped]
        _print_some(console, skipped, len(skipped), None)


def _moods(moods: tuple[str, ...] | None) -> str:
    return readable(", ".join(moods)) if moods else "no mood"


def _print_some(console: Console, lines: list[str], number: int, out: Path | None) -> None:
    for line in lines[:MOST_ROWS]:
        console.print("  " + line)
    if number > MOST_ROWS:
        where = f", see {readable(out)}" if out else ""
        console.print(f"  … and {number - MOST_ROWS} more{where}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def command_to_go_on() -> str:
    """The command that was given, with --resume."""
    words = sys.argv[1:]
    if Path(sys.argv[0]).stem.removeprefix("melodai-") != "predict":  # melodai predict …
        words = words[words.index("predict") + 1 :]
    words = [word for word in words if word not in ("--force", "--resume")]
    return readable(shlex.join(["melodai-predict", *words, "--resume"]))
