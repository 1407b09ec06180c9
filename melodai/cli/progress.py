"""A training run on the terminal: a bar that moves on a terminal, a line an epoch elsewhere."""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from melodai.cli.console import plain_console, readable_lines
from melodai.training.monitor import EpochReport, Monitor
from melodai.training.run import TrainingResult


class ProgressMonitor(Monitor):
    """Shows what a run does.

    Args:
        is_first: whether this process is the one that speaks, of those that share the run.
    """

    def __init__(self, is_first: bool = True) -> None:
        self._console = plain_console(markup=True, quiet=not is_first)
        self._progress: Progress | None = None
        self._began = time.perf_counter()

    def print(self, text: str) -> None:
        """One line of plain text."""
        self._console.print(readable_lines(text), markup=False)

    def message(self, text: str) -> None:
        self.print(text)

    def warning(self, text: str) -> None:
        self._console.print(f"[yellow]warning:[/yellow] {_escape(readable_lines(text))}")

    def decoding(self, done: int, total: int) -> None:
        self.working("reading songs", done, total)

    def embedding(self, done: int, total: int) -> None:
        self.working("listening", done, total)

    def working(self, what: str, done: int, total: int, state: str = "") -> None:
        if self._progress is None:
            self._start(what, total, "{task.fields[state]}")
        self._progress.update(0, completed=done, state=state)
        if done == total:
            self.finish()

    def start(self, first_epoch: int, epochs: int, steps: int) -> None:
        self.finish()
        self._epochs, self._steps = epochs, steps
        self._began = time.perf_counter()
        self._first = first_epoch
        self._start("training", (epochs - first_epoch + 1) * steps, "{task.fields[state]}")
        self._done = 0

    def _start(self, name: str, total: int, state: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn(state), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._progress.add_task(name, total=total, state="")
        self._progress.start()

    def step(self, step: int, loss: float, accuracy: float) -> None:
        state = f"epoch {self._first + self._done}  loss {loss:.3f}  accuracy {accuracy:.2f}"
        self._progress.update(0, completed=self._done * self._steps + step, state=state)

    def epoch(self, report: EpochReport) -> None:
        self._done += 1
        left = (time.perf_counter() - self._began) / self._done
        left *= self._epochs - report.epoch
        star = " *" if report.is_best else ""
        self.print(
            f"epoch {report.epoch:3}/{self._epochs}  "
            f"loss {report.train.loss:.3f} / {report.validation.loss:.3f}  "
            f"accuracy {report.train.accuracy:.3f} / {report.validation.accuracy:.3f}  "
            f"macro-F1 {report.validation.macro_f1:.3f}  {report.seconds:.1f} s, "
            f"at most {_duration(left)} left{star}"
        )

    def finish(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def result(self, result: TrainingResult) -> None:
        """The last words: how it went, where everything is, what to do next."""
        scores = result.metrics["validation"]
        moods = zip(result.metrics["moods"], scores["f1"], strict=True)
        f1 = ", ".join(f"{mood} {value:.2f}" for mood, value in moods)
        self.print("")
        which = f"Best epoch {result.best_epoch} of {result.epochs}"
        songs = f"{scores['num_examples']} validation songs"
        if "mode" in result.metrics:
            which = f"{result.metrics['mode']} ({result.metrics['head']})"
            songs = f"{scores['num_examples']} songs, each while it was held out"
            if result.metrics["mode"] == "zero-shot":
                songs = f"{scores['num_examples']} songs, whose labels were not used"
        self.print(
            f"{which}: accuracy {scores['accuracy']:.3f}, macro-F1 {scores['macro_f1']:.3f} on "
            f"{songs} (F1: {f1})."
        )
        for name, own in result.metrics.get("validation_by_set", {}).items():
            self.print(
                f"  {name}: accuracy {own['accuracy']:.3f}, macro-F1 {own['macro_f1']:.3f} on "
                f"{own['num_examples']} songs"
            )
        if result.metrics.get("note"):
            self.warning(result.metrics["note"])
        folder = shlex.quote(str(result.run))
        self.print(f"Results:  {folder}  (best.pt, history.csv, metrics.json, split.csv)")
        self.print(f"Curves:   tensorboard --logdir {folder}  then open http://localhost:6006")


@contextmanager
def counting(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that says (done, total)."""
    console = plain_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
