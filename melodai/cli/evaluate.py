"""`melodai-evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from melodai.evaluation.predictions import Predictions
    from melodai.evaluation.summary import Evaluation

EPILOG = """\
[bold]Examples[/bold]

melodai-evaluate runs/20250131-120000-residual

melodai-evaluate runs/mine --data other-music --json scores.json

melodai-evaluate runs/mine --against runs/other --figures pictures"""

SHOWN = (
    "accuracy",
    "balanced accuracy",
    "macro F1",
    "log-loss",
    "Brier",
    "calibration error",
    "AURC",
    "KL",
)


def evaluate(
    run: Path = typer.Argument(..., help="A run folder, or one of a cross-validation."),
    data: list[Path] = typer.Option(
        [],
        help="Where the run's songs are now; or other labelled songs: a folder per mood, a CSV "
        "manifest, …; can be repeated.",
    ),
    json: Path | None = typer.Option(None, help="Write all scores and intervals here."),
    against: Path | None = typer.Option(
        None, metavar="RUN", help="Another evaluated run: paired intervals and a paired test."
    ),
    figures: Path | None = typer.Option(None, metavar="FOLDER", help="Draw all figures here."),
    cache_dir: Path | None = typer.Option(None, help="Folder of the decoded songs."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
) -> None:
    """Score a run on the songs that were set aside, or on others, with intervals.

    Per song and per segment; pooling and temperature are chosen on the validation songs.
    """
    from melodai.evaluation.run import evaluate_run
    from melodai.evaluation.summary import write_json

    evaluation, predictions = evaluate_run(
        run, data=data or None, cache_dir=cache_dir, device=device
    )
    print_scores(evaluation)
    if json is not None:
        write_json(evaluation, json)
        typer.echo(f"Scores:   {json}")
    if not data:
        typer.echo(f"Results:  {run}  (evaluation.json, predictions.csv, predictions.npz)")
    if against is not None:
        _print_comparison(predictions, run, against)
    if figures is not None:
        from melodai.report import draw_figures

        for path in draw_figures(evaluation, predictions, run / "history.csv", figures):
            typer.echo(f"Figure:   {path}")


def print_scores(evaluation: "Evaluation") -> None:
    """The scores that matter most, as a table."""
    from rich.table import Table

    from melodai.cli.console import plain_console

    heading = (
        f"{evaluation.data}, {evaluation.split}: {evaluation.num_tracks} songs of "
        f"{evaluation.num_artists} artists, {evaluation.num_segments} segments"
    )
    table = Table(title=heading, caption="95 % intervals: bootstrap over artists")
    for column in ("", "songs", "segments"):
        table.add_column(column)
    moods = [f"{score} {mood}" for mood in evaluation.moods for score in ("F1", "ROC-AUC")]
    for name in (*SHOWN, *moods):
        value = evaluation.tracks[name]
        if value.value == value.value:
            table.add_row(name, str(value), str(evaluation.segments[name]))
    plain_console().print(table)
    for name, own in evaluation.sets.items():
        scores = ", ".join(f"{score} {own.tracks[score]}" for score in SHOWN[:3])
        typer.echo(f"{name}, {own.num_tracks} songs of {own.num_artists} artists: {scores}")
    pooling = f"Segments are pooled by {evaluation.pooling}"
    if evaluation.calibration is not None:
        pooling += f", at temperature {evaluation.calibration.track_temperature:.2f}"
    pooling += f", in {evaluation.provenance.get('precision', 'a precision not recorded')}"
    typer.echo(f"{pooling}. Calibration error before: {evaluation.calibration_error_before:.3f}.")
    kept = ", ".join(f"{share} {value:.2f}" for share, value in evaluation.coverage.items())
    typer.echo(f"Accuracy if only the surest songs are answered: {kept}")


def _print_comparison(predictions: "Predictions", run: Path, against: Path) -> None:
    import numpy as np

    from melodai.evaluation.intervals import compare_runs
    from melodai.evaluation.predictions import FILE_NAME, Predictions

    other = Predictions.load(against / FILE_NAME)
    compared = compare_runs(predictions, other, random=np.random.default_rng(0))
    typer.echo(
        f"{run} minus {against}, {compared.num_tracks} songs of {compared.num_artists} artists:"
    )
    for name in ("accuracy", "macro F1", "log-loss"):
        found = compared.differences[name]
        typer.echo(f"  {name:10} {found.difference}, p = {found.p_value:.3f}")


evaluate.epilog = EPILOG  # type: ignore[attr-defined]
