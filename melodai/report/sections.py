"""Sections of the report: tables of runs, moods and songs, and the figures of a run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from melodai.evaluation import figures
from melodai.evaluation.ceiling import Ceiling
from melodai.evaluation.intervals import Comparison, Interval
from melodai.evaluation.predictions import Predictions
from melodai.evaluation.summary import Evaluation
from melodai.report import page as html

MAIN_SCORES = (
    "accuracy",
    "balanced accuracy",
    "macro F1",
    "log-loss",
    "Brier",
    "calibration error",
    "AURC",
)


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """A run as it is reported: the predictions as they were evaluated, and its evaluation.

    `why` are pictures, as HTML, of what carried the answers for chosen songs.
    """

    name: str
    predictions: Predictions
    evaluation: Evaluation
    history: Path | None = None
    why: tuple[str, ...] = ()


def _interval(found: Interval) -> html.Cell:
    return html.interval(found.value, found.low, found.high)


def runs_table(runs: Sequence[ReportedRun]) -> str:
    """Scores of every run with their intervals."""
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


def against_table(first: str, comparisons: Mapping[str, Comparison]) -> str:
    """Paired differences of the other runs from the first one; empty if there is no other."""
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


def run_section(run: ReportedRun, index: int, out: Path, ceiling: Ceiling | None) -> str:
    """Everything about one run: its moods, figures and songs."""
    about = ", ".join(f"{key} {value}" for key, value in sorted(run.evaluation.provenance.items()))
    predictions, tracks = run.predictions, run.evaluation.tracks
    human = None if ceiling is None else ceiling.halves
    pictures = figures.run_figures(predictions, tracks, run.name, run.history, human)
    return "\n".join(
        [
            f"<h2>{escape(run.name)}</h2>",
            f'<p class="about">{escape(about)}</p>',
            _moods_table(run),
            *(html.picture(figure, f"{kind}, {run.name}") for kind, figure in pictures.items()),
            *(["<h3>Why</h3>", *run.why] if run.why else []),
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
