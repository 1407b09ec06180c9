"""`melodai-ceiling`, `melodai-audit`, `melodai-sound` and `melodai-report`."""

from pathlib import Path

import typer

from melodai.config import DataConfig

DATA = typer.Argument(
    None, help="A folder per mood, a CSV manifest, Emotify, 4Q, or several; or the demo clips."
)
MOODS = typer.Option(
    DataConfig.moods, "--moods", "--taxonomy", help="Moods in their order, or a set, or auto."
)
CACHE = typer.Option(None, help="Folder of the decoded songs.")
JSON = typer.Option(None, help="Write everything here.")


def ceiling(
    data: Path = typer.Argument(..., help="Songs with listeners' votes (Emotify), or any others."),
    moods: str = MOODS,
    repetitions: int = typer.Option(400, min=1, help="Random halves and resamples."),
    seed: int = typer.Option(0, min=0, help="Seed of these."),
    against: list[Path] = typer.Option(
        [],
        "--predictions",
        metavar="FILE",
        help="predictions.npz of a run: held against half of the listeners, as the other half is.",
    ),
    json: Path | None = JSON,
) -> None:
    """How far listeners agree with each other, and what is reached without listening."""
    from melodai.evaluation.commands import hold_against_half, run_ceiling

    found = run_ceiling(data, moods=moods, num_repetitions=repetitions, seed=seed, json=json)
    rows = {
        "one half of a song's listeners against the other": found.halves,
        "labels of resampled listeners (no model can be above)": found.resampled,
        "one listener against the rest": found.one_listener,
        **{f"without listening: {name}": row for name, row in found.shortcuts.items()},
    }
    typer.echo(f"{found.data}: {found.num_tracks} songs, {found.num_votes} votes")
    typer.echo(f"{'':56} accuracy  macro-F1")
    for name, row in rows.items():
        if row is not None:
            typer.echo(f"{name:56} {row.accuracy:8.3f}  {row.macro_f1:8.3f}")
    for path in against:
        typer.echo(f"{path}, {hold_against_half(path, data, repetitions, seed)}")


def audit(
    data: list[Path] | None = DATA,
    moods: str = MOODS,
    split: Path | None = typer.Option(
        None, help="The split.csv of a run, whose parts are looked at instead of the data's folds."
    ),
    cache_dir: Path | None = CACHE,
    json: Path | None = JSON,
) -> None:
    """Find the same recording under two names, and artists that are spelled in two ways.

    Another encoding, level, a pitch moved by up to two semitones or a cut do not hide a copy.
    """
    from melodai.cli.console import readable
    from melodai.cli.progress import counting
    from melodai.evaluation.commands import run_audit

    with counting("listening") as on_progress:
        found = run_audit(
            data, moods=moods, split=split, cache_dir=cache_dir, json=json,
            on_progress=on_progress,
        )  # fmt: skip
    typer.echo(
        f"{found.data}: {found.num_tracks} songs, {len(found.duplicates)} pairs of one recording; "
        f"the closest two different songs correlate to {found.closest:.2f}"
    )
    for pair in found.duplicates:
        typer.echo(
            f"  {readable(pair.one)} = {readable(pair.other)}  (similarity {pair.similarity:.2f}, "
            f"{pair.semitones:+.1f} semitones, {pair.lag_seconds:+.1f} s)"
        )
    for spelling in found.spellings:
        typer.echo(f"  {spelling.one!r} and {spelling.other!r}: {spelling.reason}")
    for crossing in found.crossings:
        typer.echo(f"  leak: {readable(crossing)}")
    if not found.crossings:
        typer.echo("Nothing crosses the folds.")


def sound(
    data: list[Path] | None = DATA,
    out: Path = typer.Option(Path("sound"), help="Folder of the figures and tables."),
    moods: str = MOODS,
    cache_dir: Path | None = CACHE,
    workers: int = typer.Option(1, min=1, help="Processes that compute features."),
    seed: int = typer.Option(0, min=0, help="Seed of the permutations and intervals."),
) -> None:
    """How the moods of a data set sound: spectrograms, acoustic features, their separation."""
    from melodai.cli.progress import counting
    from melodai.evaluation.commands import run_sound_study

    with counting("measuring") as on_progress:
        found = run_sound_study(
            data, out, moods=moods, cache_dir=cache_dir, num_workers=workers, seed=seed,
            on_progress=on_progress,
        )  # fmt: skip
    typer.echo("Separation: share of the acoustic variance that the mood explains, beyond chance")
    for name, row in found.separation.items():
        typer.echo(f"  {name:28} {row.score}  p = {row.p_value:.4f}")
    for path in found.files:
        typer.echo(f"Written:  {path}")


def report(
    runs: list[Path] = typer.Argument(..., help="Evaluated runs; the first is compared with."),
    out: Path = typer.Option(Path("report.html"), help="The page; a Markdown table beside it."),
    data: Path | None = typer.Option(
        None, help="The data that they were evaluated on, to draw the listeners' agreement."
    ),
    explain: list[str] = typer.Option(
        [], metavar="SONG", help="Show what carried the answer for this song; can be repeated."
    ),
) -> None:
    """Write one self-contained page on one or more evaluated runs, songs to listen to included."""
    from melodai.cli.progress import counting
    from melodai.report import run_report

    with counting("writing the report") as on_progress:
        written = run_report(runs, out, data=data, explain=explain, on_progress=on_progress)
    for path in written:
        typer.echo(f"Written:  {path}")
