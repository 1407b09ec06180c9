"""`melodai`, and `melodai-train` and its sisters: the same commands under both names.

Exit codes: 0 done; 1 an error not named below, or some songs of `predict` could not be listened to;
2 a wrong setting or argument; 3 songs, labels or splits that cannot be used; 4 a checkpoint or run
folder that cannot be used; 5 the loss is not a number; 6 another process of a data-parallel run has
died; 7 a package is missing or does not fit; 130 stopped by Ctrl-C, 143 by SIGTERM (the state is
saved, the command to go on is printed).
"""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from melodai.cli.compare import compare
from melodai.cli.console import forgiving_streams, readable_lines
from melodai.cli.evaluate import evaluate
from melodai.cli.explain import explain
from melodai.cli.export import export
from melodai.cli.predict import predict
from melodai.cli.pretrain import pretrain
from melodai.cli.study import audit, ceiling, report, sound
from melodai.cli.train import train
from melodai.errors import MelodaiError
from melodai.interrupt import Interrupted, prompt_interrupt

COMMANDS = {
    "train": train,
    "pretrain": pretrain,
    "evaluate": evaluate,
    "compare": compare,
    "predict": predict,
    "ceiling": ceiling,
    "audit": audit,
    "sound": sound,
    "report": report,
    "export": export,
    "explain": explain,
}

GO_ON = "the same command starts again; what it had decoded or computed is in the cache."

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="The mood of music from its sound alone. Each command is also there as melodai-<command>.",
    epilog="Exit codes: 0 done, 2 wrong argument, 3 unusable data, 4 unusable checkpoint, 5 the "
    "loss is not a number, 6 another process died, 7 a package does not fit, 130 Ctrl-C.",
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True),
) -> None:
    if version:
        from melodai import __version__

        typer.echo(__version__)
        raise typer.Exit


def ends_by_its_signal(command: Callable[..., None]) -> Callable[..., None]:
    """The command, whose exit code tells Ctrl-C (130) from SIGTERM (143); typer does not.

    Both are obeyed at once, unless the command puts them off to its next step.
    """

    @functools.wraps(command)
    def run_command(*arguments: Any, **options: Any) -> None:
        try:
            with prompt_interrupt():
                command(*arguments, **options)
        except Interrupted as interrupt:
            if not interrupt.is_explained and os.environ.get("RANK", "0") == "0":
                typer.echo(f"{interrupt}; {GO_ON}", err=True)
            raise typer.Exit(128 + interrupt.signal_number) from interrupt

    return run_command


for _name, _command in COMMANDS.items():
    app.command(_name, epilog=getattr(_command, "epilog", None), no_args_is_help=False)(
        ends_by_its_signal(_command)
    )


def run() -> None:
    """`melodai`."""
    _run(app)


def run_named() -> None:
    """`melodai-train`, `melodai-evaluate`, …: the command that the program's own name says."""
    name = Path(sys.argv[0]).stem.removeprefix("melodai-")
    run_script(COMMANDS[name])


def run_script(command: Callable[..., None]) -> None:
    """A command without a name of its own, such as a script's."""
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(epilog=getattr(command, "epilog", None))(ends_by_its_signal(command))
    _run(alone)


def _run(application: Any) -> None:
    """Runs it; errors that a user can mend become a sentence and an exit code."""
    with forgiving_streams():
        try:
            application()
        except MelodaiError as error:
            typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
            typer.echo(readable_lines(str(error)), err=True)
            sys.exit(error.exit_code)


if __name__ == "__main__":
    run()
