"""`melodai-pretrain`."""

import logging
from pathlib import Path
from typing import Any

import typer

from melodai.cli.options import with_config_options
from melodai.config import DataConfig, PretrainConfig

EPILOG = """\
[bold]Examples[/bold]

melodai-pretrain free-music --out runs/pretrained   [dim]# what its teacher says, nothing else[/dim]

melodai-pretrain free-music --data emotify --data 4q --fold 0 --out runs/pretrained-0

melodai-train --data my-music --arch residual --init runs/pretrained

The same command goes on with a run that was stopped. tensorboard --logdir runs shows it."""


def _pretrain(
    music: list[Path] = typer.Argument(None, help="Music to hear: files and folders, no labels."),
    data: list[Path] = typer.Option(
        [], "--data", help="Songs with moods and folds, which the teachers' probes learn."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more."),
    *,
    options: dict[str, Any],
) -> None:
    """Pretrain a network without labels: it learns to say what frozen networks say of music.

    Teacher and student hear the same sound: windows of songs at another speed, with other tone
    controls, mixed with one another, none of them twice.
    """
    from melodai.cli.progress import ProgressMonitor
    from melodai.interrupt import Interrupted
    from melodai.training.pretrain_run import default_run_folder, pretrain

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    config = PretrainConfig(**options)
    if config.out is None:
        config = PretrainConfig(**options, out=default_run_folder(config.arch))
    monitor = ProgressMonitor()
    labelled = [DataConfig(data=path) for path in data]
    try:
        weights = pretrain(music or [], labelled, config, monitor)
    except Interrupted as interrupt:
        monitor.print(f"{interrupt}; saved. The same command, with --out {config.out}, goes on.")
        interrupt.is_explained = True
        raise
    monitor.print(f"Weights:  {weights}")
    monitor.print(f"Train with them:  melodai-train --init {config.out} --arch {config.arch}")


pretrain = with_config_options(_pretrain, [PretrainConfig])
pretrain.__name__ = "pretrain"
pretrain.epilog = EPILOG  # type: ignore[attr-defined]
