"""`melodai-weights`: fetches pretrained weights, checks them, and says what is there."""

from pathlib import Path

import typer

EPILOG = """\
[bold]Examples[/bold]

melodai-weights   [dim]# what is there, and what each network needs[/dim]

melodai-weights musicnn   [dim]# all four musicnn networks, from the wheel on PyPI[/dim]

melodai-weights yamnet jamendo-vgg --weights-dir weights"""


def weights(
    names: list[str] | None = typer.Argument(
        None, metavar="NAME…", help="Networks, or the beginning of several names (musicnn)."
    ),
    weights_dir: Path | None = typer.Option(
        None, help="Folder to put them into.  \\[default: $MELODAI_WEIGHTS, then the user's cache]"
    ),
    offline: bool = typer.Option(False, "--offline", help="Only check what is there."),
) -> None:
    """Fetch published weights of pretrained networks; every file is checked by its checksum.

    Without names: list the networks, and which of their files are on this machine. Exit code 3 if
    weights are not available.
    """
    from baselines import backbones
    from baselines.catalogue import files_for
    from baselines.weights import require_all

    backbones()  # fills the table
    if not names:
        _list(weights_dir)
        return
    for name in names:
        files = files_for(name)
        for file, path in zip(files, require_all(files, weights_dir, offline=offline), strict=True):
            size = path.stat().st_size / 1e6
            typer.echo(f"{path}  {size:.1f} MB, {file.licence}, checksum agrees")


def _list(weights_dir: Path | None) -> None:
    from baselines import backbones
    from baselines.catalogue import missing_files
    from baselines.weights import WeightsError

    for name, entry in sorted(backbones().items()):
        if not entry.about.files:
            found = "needs no file" if not entry.about.extra else f"pip install {entry.about.extra}"
            if entry.about.files_on_request:
                found = f"on request only ({entry.about.licence}): melodai-weights {name}"
        else:
            try:
                missing = missing_files(entry.about, weights_dir)
                found = "here" if not missing else "missing: " + ", ".join(f.name for f in missing)
            except WeightsError as error:
                found = f"damaged: {error}"
        typer.echo(f"{name:20} {found}")


weights.epilog = EPILOG  # type: ignore[attr-defined]


def run() -> None:
    """The console script."""
    from melodai.cli.main import run_script

    run_script(weights)
