"""`melodai-export`."""

from pathlib import Path

import typer

EPILOG = """\
[bold]Examples[/bold]

melodai-export runs/mine --out my-model

melodai-export runs/mine --out my-model --ceiling ceiling.json --no-onnx"""


def export(
    run: Path = typer.Argument(..., help="A run folder; melodai-evaluate adds its scores to it."),
    out: Path = typer.Option(..., metavar="FOLDER", help="The new folder."),
    onnx: bool = typer.Option(True, help="Also write model.onnx, with the front end inside."),
    ceiling: Path | None = typer.Option(
        None, metavar="JSON", exists=True, help="What melodai-ceiling wrote, for the model card."
    ),
    scores: Path | None = typer.Option(
        None, metavar="JSON", exists=True, help="Scores in place of the run's own evaluation.json."
    ),
    licence: str | None = typer.Option(
        None, help="Terms of the songs it learned from, for the model card."
    ),
) -> None:
    """Make a folder of a run that can be given away: weights, description, model card, ONNX."""
    from dataclasses import replace

    from melodai.bundle import load_bundle, read_json
    from melodai.export.model import export_model

    bundle = load_bundle(run)
    if scores is not None:
        bundle = replace(bundle, scores=read_json(scores))
    written = export_model(
        bundle, out, with_onnx=onnx, licence=licence,
        ceiling=None if ceiling is None else read_json(ceiling),
    )  # fmt: skip
    for path in written:
        typer.echo(f"Written:  {path}  ({path.stat().st_size / 1e6:.1f} MB)")
    if not bundle.scores:
        typer.echo(f"The card has no scores yet: run  melodai-evaluate {run}  and export again.")
    typer.echo(f"Use it:   melodai-predict my-music --model {out}")


export.epilog = EPILOG  # type: ignore[attr-defined]
