"""`melodai-compare`."""

import logging
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from melodai.cli.options import ADOPT, with_config_options
from melodai.config import Config
from melodai.errors import DataError, SettingError

if TYPE_CHECKING:
    from melodai.comparison.run import ModelComparison
    from melodai.evaluation.ceiling import Ceiling
    from melodai.evaluation.votes import Votes

EPILOG = """\
[bold]Examples[/bold]

melodai-compare --data emotify --out runs/compare   [dim]# all that has weights at hand[/dim]

melodai-compare --data emotify --out runs/compare --archs residual,musicnn-msd,yamnet@zero-shot

Then: [bold]tensorboard --logdir runs/compare[/bold]. Interrupted, the same command goes on."""


def _compare(
    archs: str = typer.Option(
        "all", "--archs",
        help="Networks with commas, each with @mode (or @probe:head) if not its own; joins as a+b. "
        "all: everything known.",
    ),
    results: Path | None = typer.Option(
        None, "--results", help="Folder of the table, the figure and the stored predictions.  "
        "\\[default: --out]",
    ),
    rescore: Path | None = typer.Option(
        None, "--rescore", metavar="RESULTS",
        help="Only score again what this results folder holds; --data for the listeners.",
    ),
    adopt: bool = ADOPT,
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more."),
    *,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Line up networks on one data set: the same folds, one table, one figure, paired tests.

    Finished networks are taken from --out as they are. Those whose weights or packages cannot be
    had are listed with the reason.
    """
    logging.addLevelName(logging.WARNING, "warning")
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if rescore is not None:
        _rescore(rescore, tuple(options.get("data", ())))
        return
    if "out" not in options:
        raise SettingError("--out is needed, so that it can be gone on with when interrupted")
    if wrong := {"arch", "mode", "fold"} & options.keys():
        raise SettingError(f"--{min(wrong)} is not for melodai-compare; see --archs")
    from melodai.cli.progress import ProgressMonitor
    from melodai.comparison.run import Entry, compare_models, default_entries
    from melodai.comparison.table import log_comparison, make_rows, write_comparison
    from melodai.interrupt import Interrupted

    config = Config().with_options(**options)
    entries = default_entries() if archs == "all" else list(map(Entry.parse, archs.split(",")))
    entries = list(dict.fromkeys(entries))
    out, monitor = config.run.out, ProgressMonitor()
    try:
        comparison = compare_models(config, entries, out, monitor, adopt=adopt)
    except Interrupted as interrupt:
        monitor.print(f"{interrupt}; saved. The same command goes on with it.")
        interrupt.is_explained = True
        raise
    if not comparison.compared:
        raise DataError("none of these networks can be had here; see the reasons above")
    votes, ceiling = _listeners(comparison, config.data.data)
    rows = make_rows(comparison, config.training.seed, votes=votes)
    folder = results or out
    write_comparison(rows, comparison, ceiling, folder, f"Made by {command()}")
    log_comparison(rows, out)
    _print(rows)
    place = shlex.quote(str(folder))
    monitor.print(f"Results:  {place}  (comparison.md, comparison.csv, comparison.png)")
    monitor.print(f"Curves:   tensorboard --logdir {shlex.quote(str(out))}")


def _rescore(folder: Path, data: tuple[Path, ...]) -> None:
    """The table and the figure anew, from the predictions that are stored beside them."""
    from melodai.comparison.stored import read_stored
    from melodai.comparison.table import make_rows, write_comparison

    comparison, made_by = read_stored(folder)
    votes, ceiling = _listeners(comparison, data)
    rows = make_rows(comparison, votes=votes)
    write_comparison(rows, comparison, ceiling, folder, made_by, f"Scored by {command()}")
    _print(rows)


def _listeners(
    comparison: "ModelComparison", data: tuple[Path, ...]
) -> "tuple[Votes | None, Ceiling | None]":
    """The votes on the songs where the data has them, and how far a prediction could go."""
    if not data:
        return None, None
    from melodai.evaluation.votes import has_votes, read_votes
    from melodai.report.build import ceiling_of

    first = comparison.compared[0].predictions
    votes = None
    if len(data) == 1 and has_votes(data[0], first.moods):
        votes = read_votes(data[0])
    return votes, ceiling_of(first, data)


def command() -> str:
    """What was typed, paths shortened to their last part, and the commit."""
    from melodai.environment import versions

    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    name = Path(sys.argv[0]).name
    typed = shlex.join(["melodai" if name == "main.py" else name, *words])
    return f"`{typed}`, commit {versions()['commit']}."


def _print(rows: list) -> None:
    from rich.table import Table

    from melodai.cli.console import plain_console
    from melodai.comparison.table import p_text

    table = Table(title="Accuracy and macro F1 of all folds, with 95 % intervals over artists")
    for name in ("model", "accuracy", "macro F1", "log-loss", "against the best", "songs/s"):
        table.add_column(name)
    for row in rows:
        test = "best"
        if row.against_best is not None:
            found = row.against_best["accuracy"]
            test = f"{found.difference.value:+.3f}, p {p_text(found.p_value)}"
        table.add_row(
            row.compared.entry.name, str(row.scores["accuracy"]), str(row.scores["macro F1"]),
            f"{row.scores['log-loss'].value:.3f}", test, f"{row.compared.songs_per_second:.2g}",
        )  # fmt: skip
    plain_console().print(table)


compare = with_config_options(_compare)
compare.__name__ = "compare"
compare.epilog = EPILOG  # type: ignore[attr-defined]
