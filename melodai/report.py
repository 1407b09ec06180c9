"""One page about one or more runs, from what is stored of them: HTML for people, Markdown for text.

The page is a single file; only the songs, where they are still there, are played from their place.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from melodai import report_page as html
from melodai.evaluation import figures
from melodai.evaluation.ceiling import Ceiling
from melodai.evaluation.intervals import Comparison, Interval, compare_runs
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.summary import Evaluation

MAIN_SCORES = ("accuracy", "balanced accuracy", "macro F1", "log-loss", "Brier", "ECE", "AURC")
TABLE_SCORES = ("accuracy", "macro F1", "log-loss", "ECE")


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """A run as it is reported: the predictions as they were evaluated, and its evaluation."""

    name: str
    predictions: Predictions
    evaluation: Evaluation
    history: Path | None = None


def write_report(
    runs: Sequence[ReportedRun],
    out: Path,
    *,
    ceiling: Ceiling | None = None,
    random: np.random.Generator | None = None,
) -> tuple[Path, Path]:
    """Writes the page to `out` and the table beside it as Markdown; returns both paths.

    With several runs the others are held against the first by a paired test.
    """
    random = random or np.random.default_rng(0)
    first = runs[0].predictions
    comparisons = {
        run.name: compare_runs(run.predictions, first, random=random)
        for run in runs[1:]
        if np.intersect1d(run.predictions.names, first.names).size
    }
    sections = [
        "<h2>Runs</h2>",
        '<p class="about">Below each score: its 95 % interval, from a bootstrap over artists.</p>',
        _runs_table(runs),
        _against_table(runs[0].name, comparisons),
        html.picture(
            figures.comparison_figure(
                {run.name: run.evaluation.tracks for run in runs}, figures.about(first), ceiling
            ),
            "scores of the runs with intervals, shortcuts and ceiling",
        ),
        html.picture(
            figures.risk_coverage_figure({run.name: run.predictions for run in runs}),
            "accuracy over the share of songs answered",
        ),
        *(_run_section(run, index, out, ceiling) for index, run in enumerate(runs)),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    page = html.page("melodai report", figures.about(first), "\n".join(sections))
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


def _interval(found: Interval) -> html.Cell:
    return html.interval(found.value, found.low, found.high)


def _runs_table(runs: Sequence[ReportedRun]) -> str:
    columns = ["run", "songs", "artists", "pooling", *MAIN_SCORES, "accuracy of segments"]
    return html.table(
        columns,
        [
            (
                "",
                [
                    html.text(run.name),
                    html.number(run.evaluation.num_tracks, 0),
                    html.number(run.evaluation.num_artists, 0),
                    html.text(run.evaluation.pooling),
                    *(_interval(run.evaluation.tracks[name]) for name in MAIN_SCORES),
                    _interval(run.evaluation.segments["accuracy"]),
                ],
            )
            for run in runs
        ],
    )


def _against_table(first: str, comparisons: dict[str, Comparison]) -> str:
    if not comparisons:
        return ""
    rows = [
        (
            "",
            [
                html.text(name),
                html.text(score),
                _interval(comparison.differences[score].difference),
                html.number(comparison.differences[score].p_value, 4),
                html.number(comparison.num_tracks, 0),
            ],
        )
        for name, comparison in comparisons.items()
        for score in ("accuracy", "macro F1", "log-loss")
    ]
    return f"<h3>Against {escape(first)}, song by song</h3>" + html.table(
        ["run", "score", "difference", "p (two-sided, paired)", "songs in both"], rows
    )


def _run_section(run: ReportedRun, index: int, out: Path, ceiling: Ceiling | None) -> str:
    about = ", ".join(f"{key} {value}" for key, value in sorted(run.evaluation.provenance.items()))
    predictions, tracks = run.predictions, run.evaluation.tracks
    human = None if ceiling is None else ceiling.halves
    pictures = [
        (figures.mood_bars_figure(predictions, tracks, human), "scores of each mood"),
        (figures.confusion_figure(predictions), "confusion of moods"),
        (figures.reliability_figure(predictions), "confidence and share right"),
    ]
    if run.history is not None:
        curves = figures.history_figure(run.history, run.name)
        pictures.append((curves, "training curves"))
    return "\n".join(
        [
            f"<h2>{escape(run.name)}</h2>",
            f'<p class="about">{escape(about)}</p>',
            _moods_table(run),
            *(html.picture(figure, f"{told}, {run.name}") for figure, told in pictures),
            "<h3>Song by song</h3>",
            _songs_table(run, f"songs-{index}", out),
        ]
    )


def _moods_table(run: ReportedRun) -> str:
    kinds = ("precision", "recall", "F1", "ROC-AUC", "PR-AUC", "Pearson", "Spearman")
    rows = [
        (
            "",
            [
                html.text(mood),
                html.number(int((run.predictions.labels == index).sum()), 0),
                *(_interval(run.evaluation.tracks[f"{kind} {mood}"]) for kind in kinds),
            ],
        )
        for index, mood in enumerate(run.evaluation.moods)
    ]
    return html.table(["mood", "songs", *kinds], rows)


def _songs_table(run: ReportedRun, identity: str, out: Path) -> str:
    predictions = run.predictions
    moods, said = predictions.moods, predictions.calibrated
    segments = predictions.calibrated_segments
    order = np.argsort(predictions.tracks, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(predictions.tracks))[:-1])
    rows = []
    for track, name in enumerate(predictions.names):
        own = members[track]
        right = said[track].argmax() == predictions.labels[track]
        line = html.timeline(
            predictions.starts_seconds[own], predictions.lengths_seconds[own], segments[own], moods
        )
        cells = [
            html.Cell(_play_button(str(predictions.paths[track]), str(name), out)),
            html.text(name),
            html.text(predictions.artists[track]),
            html.text(moods[predictions.labels[track]]),
            html.text(moods[said[track].argmax()], "said"),
            html.number(said[track].max(), 2),
            *(html.number(share, 2) for share in said[track]),
            html.Cell(line, f"{said[track].max():.4f}"),
        ]
        rows.append(("right" if right else "wrong", cells))
    columns = ["", "song", "artist", "mood", "predicted", "confidence", *moods, "over time"]
    return (
        f'<p><input type="search" data-table="{identity}" placeholder="search the songs" '
        f'aria-label="search the songs">{html.mood_key(moods)}</p>'
        + html.table(columns, rows, identity)
    )


def _play_button(path: str, name: str, out: Path) -> str:
    """A button that plays the song, where its file is there."""
    if not path or not Path(path).is_file():
        return ""
    try:
        source = quote(Path(os.path.relpath(path, out.parent.resolve())).as_posix())
    except ValueError:  # on another drive (Windows)
        source = Path(path).resolve().as_uri()
    return (
        f'<button class="play" title="{escape(name)}" data-source="{escape(source)}" '
        f'aria-label="play {escape(name)}">&#9654;</button>'
    )
