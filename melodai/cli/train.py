"""`melodai-train`."""

import logging
import os
import shlex
from pathlib import Path
from typing import Any

import typer

from melodai.cli.options import ADOPT, with_config_options
from melodai.config import Config
from melodai.errors import RankFailedError, SettingError
from melodai.presets import AUTO, PRESETS, preset

EPILOG = """\
[bold]Examples[/bold]

melodai-train --arch residual   [dim]# a first look at generated demo clips[/dim]

melodai-train --arch residual --data my-music   [dim]# my-music/<mood>/*.mp3[/dim]

melodai-train --data songs.csv --moods five --segment-seconds 30 --fold 1

melodai-train --resume runs/20250131-120000-residual

torchrun --nproc-per-node 2 -m melodai.cli.main train --data my-music

Afterwards: [bold]tensorboard --logdir runs[/bold]. Ctrl-C saves and says how to go on."""


def _train(
    resume: Path | None = typer.Option(
        None, "--resume", metavar="RUN",
        help="Go on with the interrupted run in this folder; --data says where its songs are now.",
    ),
    preset_name: str | None = typer.Option(
        None, "--preset", metavar="[" + "|".join(PRESETS) + "]",
        help="Settings to start from.  [default: default; without --data: demo]",
    ),
    cv: bool = typer.Option(
        False, "--cv", help="Cross-validate: every fold once, in --out; again to go on with it."
    ),
    adopt: bool = ADOPT,
    list_archs: bool = typer.Option(
        False, "--list-archs", help="List the networks and stop; with -v, all about them."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more."),
    *,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Train a network to tell the moods of music, and log it for TensorBoard.

    Without --data it learns to tell acoustic from electronic music on 28 generated clips: a look at
    the program, not a result.
    """
    if list_archs:
        _list_archs(verbose)
        return
    logging.addLevelName(logging.WARNING, "warning")
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    # Before torch is imported: oneDNN and OpenMP read it once.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if resume is not None:
        if preset_name is not None:
            raise SettingError("--preset cannot be changed with --resume; a run keeps its settings")
        _report(resume, options, adopt=adopt)
        return
    name = preset_name or ("default" if "data" in options else "demo")
    config = preset(name, options.get("arch", AUTO), options.get("init")).with_options(**options)
    if cv:
        _cross_validate(config, adopt)
    elif "data" not in options:
        _first_look(config, adopt)
    else:
        _report(None, options, config)


def _report(
    resume: Path | None,
    options: dict[str, Any],
    config: Config | None = None,
    *,
    adopt: bool = False,
) -> None:
    """Trains, and says where everything is and how to go on."""
    from melodai.checkpoint import LAST
    from melodai.cli.progress import ProgressMonitor
    from melodai.evaluation.leaks import leak_warnings
    from melodai.interrupt import Interrupted
    from melodai.training.run import default_run_folder
    from melodai.training.run import resume as go_on
    from melodai.training.run import train as start

    monitor = ProgressMonitor(is_first=int(os.environ.get("RANK", "0")) == 0)
    if config is not None and config.run.out is None:
        config = config.with_options(out=default_run_folder(config.model.arch))
    run = resume if config is None else config.run.out
    try:
        if config is None:
            result = go_on(resume, monitor, adopt=adopt, **options)
        else:
            result = start(config, monitor, leak_warnings)
    except Interrupted as interrupt:
        if (run / LAST).exists():
            monitor.print(f"{interrupt}; saved. Go on with:  {_command_to_go_on(run)}")
            interrupt.is_explained = True
        raise
    except RankFailedError as error:
        raise RankFailedError(f"{error}. Go on with:  {_command_to_go_on(run)}") from error
    monitor.result(result)


def _command_to_go_on(run: Path) -> str:
    num_processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    start = "melodai-train"
    if num_processes != "1":
        start = f"torchrun --nproc-per-node {num_processes} -m melodai.cli.main train"
    return f"{start} --resume {shlex.quote(str(run))}"


def _cross_validate(config: Config, adopt: bool) -> None:
    """Every fold, and the scores of all songs together."""
    from melodai.cli.evaluate import print_scores
    from melodai.cli.progress import ProgressMonitor
    from melodai.cross_validation import cross_validate
    from melodai.interrupt import Interrupted

    monitor = ProgressMonitor()
    try:
        result = cross_validate(config, monitor, adopt=adopt)
    except Interrupted as interrupt:
        monitor.print(f"{interrupt}; saved. The same command goes on with it.")
        interrupt.is_explained = True
        raise
    print_scores(result.evaluation)
    monitor.print(f"Results:  {result.run}  (evaluation.json, predictions.csv, predictions.npz)")


def _first_look(config: Config, adopt: bool) -> None:
    """The styles of the demo clips, each told once, by a model that heard no clip of its prompt."""
    from melodai.training.run import default_run_folder

    if config.run.out is None:
        config = config.with_options(out=default_run_folder(config.model.arch))
    _cross_validate(config, adopt)
    typer.echo(
        f"""
These are generated clips, and styles, not moods: a look at the program, not a result to quote.
Curves:           tensorboard --logdir {shlex.quote(str(config.run.out))}
Your songs:       melodai-predict my-music
Your own moods:   melodai-train --arch residual --data my-music    # my-music/<mood>/*.mp3"""
    )


def _list_archs(verbose: bool) -> None:
    from melodai.models.registry import AUTO, AUTO_MIN_TRACKS_FOR_RESIDUAL, architectures

    limit = AUTO_MIN_TRACKS_FOR_RESIDUAL
    typer.echo(f"{AUTO:24} advanced below {limit} training songs, residual from there on")
    for architecture in architectures():
        name = architecture.name + ("<name>" if architecture.name.endswith(":") else "")
        typer.echo(f"{name:24} {architecture.summary}")
        if verbose and architecture.details:
            typer.echo(f"{'':24} {architecture.details}")


train = with_config_options(_train)
train.__name__ = "train"
train.epilog = EPILOG  # type: ignore[attr-defined]
