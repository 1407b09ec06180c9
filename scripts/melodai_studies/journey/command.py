"""`melodai-journey`."""

from pathlib import Path

import typer

from melodai.cli.main import run_script
from melodai.cli.options import ADOPT


def journey(
    data: Path = typer.Argument(..., help="Emotify, or other songs with folds by artist."),
    out: Path = typer.Option(Path("results/journey"), help="Folder of the table and the figure."),
    parts: Path | None = typer.Option(
        None, help="Folder of the finished rows.  \\[default: rows, in --out]"
    ),
    folds: str = typer.Option("0", help="Test folds of the honest rows, as 0,1,2."),
    epochs: int = typer.Option(6, min=1, help="Epochs of every row."),
    image_size: int = typer.Option(96, min=32, help="Height and width of the pictures."),
    precision: str = typer.Option("auto", metavar="[auto|float32|bfloat16]", help="Arithmetic."),
    protocol: str | None = typer.Option(
        None, metavar="[artist-disjoint|leaky]", help="Train only the rows of this protocol."
    ),
    cache_dir: Path | None = typer.Option(None, help="Folder of the decoded songs."),
    seed: int = typer.Option(0, min=0, help="Seed of everything."),
    adopt: bool = ADOPT,
) -> None:
    """Repeat the study step by step: its leaky protocol beside one that does not leak.

    Interrupted, the same command goes on with the rows that are left.
    """
    from melodai.cli.progress import ProgressMonitor
    from melodai.errors import SettingError
    from melodai_studies.journey.run import PROTOCOLS, JourneySettings, run_journey

    if protocol is not None and protocol not in PROTOCOLS:
        raise SettingError(f"--protocol is {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    try:
        numbers = tuple(int(fold) for fold in folds.split(","))
    except ValueError:
        raise SettingError(f"--folds is {folds!r}; give numbers with commas, as 0,1,2") from None
    options = {"epochs": epochs, "image_size": image_size, "precision": precision}
    settings = JourneySettings(
        data=data, cache_dir=cache_dir, folds=numbers, seed=seed, options=options
    )
    chosen = PROTOCOLS if protocol is None else (protocol,)
    run_journey(
        settings, out, parts or out / "rows", protocols=chosen, monitor=ProgressMonitor(),
        adopt=adopt,
    )  # fmt: skip
    typer.echo((out / "journey.md").read_text(encoding="utf-8"))


def run() -> None:
    """The console script."""
    run_script(journey)


if __name__ == "__main__":
    run()
