"""One page about one or more runs, from what is stored of them: HTML for people, Markdown for text.

The page is a single file; only the songs, where they are still there, are played from their place.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from melodai.config import DataConfig
from melodai.data.library import read_library
from melodai.errors import DataError
from melodai.evaluation import figures
from melodai.evaluation.ceiling import Agreement, Ceiling
from melodai.evaluation.commands import measure_ceiling
from melodai.evaluation.intervals import NUM_RESAMPLES, compare_runs
from melodai.evaluation.predictions import FILE_NAME, Predictions
from melodai.evaluation.summary import Evaluation, evaluate
from melodai.labels import moods_text
from melodai.palette import colour_of
from melodai.report.songs import ReportedRun, songs_of
from melodai.report.why import OnProgress, explained_songs, png
from melodai.templates import render

MAIN_SCORES = (
    "accuracy",
    "balanced accuracy",
    "macro F1",
    "log-loss",
    "Brier",
    "calibration error",
    "AURC",
)
MOOD_SCORES = ("precision", "recall", "F1", "ROC-AUC", "PR-AUC", "Pearson", "Spearman")
TABLE_SCORES = ("accuracy", "macro F1", "log-loss", "calibration error")


def write_report(
    runs: Sequence[ReportedRun],
    out: Path,
    *,
    ceiling: Ceiling | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> tuple[Path, Path]:
    """Writes the page to `out` and the table beside it as Markdown; returns both paths.

    With several runs the others are held against the first by a paired test.
    """
    random = np.random.default_rng(0)  # a report can be made again and says the same
    first = runs[0].predictions
    comparisons = {
        run.name: compare_runs(run.predictions, first, random=random, num_resamples=num_resamples)
        for run in runs[1:]
        if np.intersect1d(run.predictions.names, first.names).size
    }
    named = {run.name: run for run in runs}
    pictures = {
        "scores of the runs with intervals, shortcuts and ceiling": figures.comparison_figure(
            {name: run.evaluation.tracks for name, run in named.items()},
            figures.about(first),
            ceiling,
        ),
        "accuracy over the share of songs answered": figures.risk_coverage_figure(
            {name: run.predictions for name, run in named.items()}
        ),
    }
    human = None if ceiling is None else ceiling.halves

    def figures_of(run: ReportedRun) -> dict[str, str]:
        tracks = run.evaluation.tracks
        drawn = figures.run_figures(run.predictions, tracks, run.name, run.history, human)
        return {f"{kind}, {run.name}": png(figure) for kind, figure in drawn.items()}

    page = render(
        "report.html",
        about=figures.about(first),
        runs=runs,
        comparisons=comparisons,
        pictures={told: png(figure) for told, figure in pictures.items()},
        figures_of=figures_of,
        songs_of=lambda run: songs_of(run, out),
        scores=list(MAIN_SCORES),
        mood_scores=list(MOOD_SCORES),
        colour_of=colour_of,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    markdown = out.with_suffix(".md")
    markdown.write_text(markdown_table(runs, ceiling), encoding="utf-8")
    return out, markdown


def markdown_table(runs: Sequence[ReportedRun], ceiling: Ceiling | None = None) -> str:
    """Scores of the songs of each run with 95 % intervals, and the lines they lie between."""
    moods = runs[0].predictions.moods
    columns = ["run", *TABLE_SCORES, *(f"F1 {mood}" for mood in moods)]
    rows = [
        [run.name.replace("|", "\\|"), *(str(run.evaluation.tracks[name]) for name in columns[1:])]
        for run in runs
    ]
    if ceiling is not None:
        lines = {f"shortcut: {name}": found for name, found in ceiling.shortcuts.items()} | {
            "one listener against the rest": ceiling.one_listener,
            "half of the listeners against the other half": ceiling.halves,
            "labels of resampled listeners (bound)": ceiling.resampled,
        }
        rows += [
            [f"*{name}*", f"{found.accuracy:.3f}", f"{found.macro_f1:.3f}", "", ""]
            + [f"{value:.3f}" for value in found.f1]
            for name, found in lines.items()
            if found is not None
        ]
    lines = [columns, ["---"] * len(columns), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        f"{table}\n\n{figures.about(runs[0].predictions)}. "
        "In brackets: 95 % interval, bootstrap over artists.\n"
    )


def read_run(
    folder: Path, name: str | None = None, *, num_resamples: int = NUM_RESAMPLES
) -> ReportedRun:
    """A run, or all folds of a cross-validation, from the predictions stored in its folder.

    Raises:
        DataError: the folder holds no predictions.
    """
    predictions = Predictions.load(folder / FILE_NAME)
    # They are stored pooled and calibrated: nothing is chosen anew.
    evaluation, predictions = evaluate(
        predictions, random=np.random.default_rng(0), num_resamples=num_resamples
    )
    history = folder / "history.csv"
    return ReportedRun(
        name=name or folder.resolve().name,
        predictions=predictions,
        evaluation=evaluation,
        history=history if history.is_file() else None,
    )


def draw_figures(
    evaluation: Evaluation,
    predictions: Predictions,
    history: Path | None,
    out: Path,
    human: Agreement | None = None,
) -> list[Path]:
    """Writes every figure of one run as PNG into `out`; training curves if `history` is there.

    Args:
        human: agreement of the listeners' halves on these songs, drawn with the moods' scores.
    """
    name = evaluation.provenance.get("run", "run")
    there = history if history is not None and history.is_file() else None
    drawn = figures.run_figures(predictions, evaluation.tracks, name, there, human)
    drawn["risk_coverage"] = figures.risk_coverage_figure({name: predictions})
    paths = []
    for kind, figure in drawn.items():
        paths.append(out / f"{kind}.png")
        figures.save_figure(figure, paths[-1])
    return paths


def run_report(
    runs: Sequence[Path],
    out: Path,
    *,
    names: Sequence[str] | None = None,
    data: Path | None = None,
    explain: Sequence[str] = (),
    on_progress: OnProgress = lambda done, total: None,
    num_resamples: int = NUM_RESAMPLES,
) -> tuple[Path, Path]:
    """`melodai-report RUN...`: the page and the Markdown table of evaluated runs.

    Args:
        out: the .html file to write.
        names: of the runs; their folders' names if not given.
        data: the data they were evaluated on, for the ceiling and the shortcuts on those songs.
        explain: names of songs whose answers are to be explained, by each run.
        on_progress: is told how far an explanation is.

    Raises:
        DataError: a run has no predictions, `data` lacks its songs, or a song that is to be
            explained, or the weights for it, are not there.
    """
    named = zip(runs, names or [None] * len(runs), strict=True)
    read = [read_run(folder, name, num_resamples=num_resamples) for folder, name in named]
    if explain:
        why = [
            explained_songs(folder, run.predictions, explain, on_progress)
            for folder, run in zip(runs, read, strict=True)
        ]
        read = [replace(run, why=own) for run, own in zip(read, why, strict=True)]
    ceiling = None if data is None else ceiling_of(read[0].predictions, data)
    return write_report(read, out, ceiling=ceiling, num_resamples=num_resamples)


def ceiling_of(predictions: Predictions, data: Path) -> Ceiling:
    """The ceiling of the predicted songs; shortcuts are learnt from the data's other folds.

    Raises:
        DataError: the data lacks some of the songs.
    """
    library = read_library(DataConfig(data=data, moods=moods_text(predictions.moods)))
    wanted = set(predictions.names.tolist())
    if missing := wanted - {track.name for track in library.tracks}:
        raise DataError(f"{data} lacks {len(missing)} songs of the run, one is {min(missing)}")
    return measure_ceiling(library, random=np.random.default_rng(0), scored=wanted)
