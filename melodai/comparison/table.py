"""The comparison as a table, a figure, stored predictions, and in TensorBoard."""

import csv
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melodai.comparison.run import Compared, ModelComparison
from melodai.comparison.selection import score_of_chosen
from melodai.comparison.stored import write_stored
from melodai.evaluation.against_half import AgainstHalf, Halves, against_half
from melodai.evaluation.ceiling import Agreement, Ceiling
from melodai.evaluation.figures import about, comparison_figure, save_figure
from melodai.evaluation.intervals import (
    NUM_RESAMPLES,
    Difference,
    Interval,
    compare_runs,
    score_intervals,
)
from melodai.evaluation.votes import Votes
from melodai.files import replace_text
from melodai.metrics import scores_of_confusion
from melodai.models.registry import JOIN, find_architecture

HALVES = "half of the listeners against the other half"
SCORES = ("accuracy", "macro F1", "log-loss", "calibration error")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        scores: every score with its interval.
        against_best: accuracy and macro F1 less those of the best, paired; None for the best.
        half: held against the labels of one half of the listeners; None without their votes.
    """

    compared: Compared
    scores: dict[str, Interval]
    against_best: dict[str, Difference] | None
    half: AgainstHalf | None = None


def make_rows(
    comparison: ModelComparison,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
    votes: Votes | None = None,
) -> list[Row]:
    """Scored and tested, the best accuracy first (of equals the lower log-loss)."""
    random = np.random.default_rng(seed)
    halves = None
    if votes is not None:
        first = comparison.compared[0].predictions
        halves = Halves.of(votes.of(first.names.tolist()), first.moods, random)
    scored = [
        (
            found,
            score_intervals(found.predictions, random=random, num_resamples=num_resamples),
        )
        for found in comparison.compared
    ]
    scored.sort(key=lambda pair: (-pair[1]["accuracy"].value, pair[1]["log-loss"].value))
    best = scored[0][0].predictions if scored else None
    rows = []
    for place, (found, scores) in enumerate(scored):
        test = None
        if place:
            test = compare_runs(
                found.predictions, best, random=random, num_resamples=num_resamples
            ).differences
        half = halves and against_half(
            found.predictions, halves, random=random, num_resamples=num_resamples
        )
        rows.append(Row(compared=found, scores=scores, against_best=test, half=half))
    return rows


def write_comparison(
    rows: list[Row],
    comparison: ModelComparison,
    ceiling: Ceiling | None,
    out: Path,
    made_by: str,
    scored_by: str = "",
) -> None:
    """Writes comparison.csv, .md, .png and .json, and each entry's predictions.

    Args:
        made_by, scored_by: sentences on how; the second if it was scored anew since.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "predictions").mkdir(exist_ok=True)
    for row in rows:
        predictions = row.compared.predictions
        nowhere = np.full(predictions.num_tracks, "")
        published = replace(predictions, paths=nowhere)
        published.save(out / "predictions" / f"{row.compared.entry.folder}.npz")
    write_stored(comparison, made_by, out)
    _write_csv(rows, out / "comparison.csv")
    replace_text(
        out / "comparison.md", markdown(rows, comparison, ceiling, f"{made_by} {scored_by}")
    )
    figure = comparison_figure(
        {row.compared.entry.name: row.scores for row in rows},
        about(rows[0].compared.predictions), ceiling,
    )  # fmt: skip
    save_figure(figure, out / "comparison.png")


def log_comparison(rows: list[Row], out: Path) -> None:
    """The scores of all songs beside the curves of the folds, an entry a run of TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    for row in rows:
        folder = out / row.compared.entry.folder
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()  # of an earlier call: TensorBoard would show both
        writer = SummaryWriter(str(folder))
        for name in (*SCORES, *(f"F1 {m}" for m in row.compared.predictions.moods)):
            writer.add_scalar(f"all_folds/{name.replace(' ', '_')}", row.scores[name].value, 0)
        writer.close()


def markdown(
    rows: list[Row], comparison: ModelComparison, ceiling: Ceiling | None, made_by: str
) -> str:
    """The table for people."""
    first = rows[0].compared.predictions
    columns = [
        "model", *SCORES, "half", *(f"F1 {mood}" for mood in first.moods), "against the best (p)",
        "parameters", "training", "songs/s", "licence of the weights",
    ]  # fmt: skip
    lines = [columns, ["---"] * len(columns)]
    lines += [_markdown_row(row) for row in rows]
    lines += [
        [f"*{name}*", f"{of.accuracy:.3f}", f"{of.macro_f1:.3f}", "", "", _half_of_line(name, rows)]
        + [f"{value:.3f}" for value in of.f1]
        + [""] * 5
        for name, of in reference_lines(first, ceiling).items()
    ]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    # What to do about it was said on the terminal, with the places of that machine.
    left_out = [
        f"- {entry.name}: {reason.partition(';')[0]}" for entry, reason in comparison.unavailable
    ]
    parts = [
        table,
        f"{about(first)}. In brackets: 95 % interval, bootstrap over artists. p: paired "
        "randomisation test over artists of the accuracy against the first row's, not corrected "
        "for the number of rows. "
        "Training: all folds, without embedding what was cached. Songs/s: decoded songs of a "
        "minute, one machine, one run. Heads, hyper-parameters and temperatures were chosen "
        "within the training songs.",
        *_luck(rows),
        *_half(rows[0]),
        *_listed("To be said with these results:", _notes(rows)),
        *_listed("What the pretrained networks had heard before:", _heard(rows)),
        *_listed("Not available here:", left_out),
        made_by.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _luck(rows: list[Row]) -> list[str]:
    """The best of many is best by luck too."""
    if len(rows) < 2:
        return []
    found = score_of_chosen(
        [row.compared.predictions for row in rows], random=np.random.default_rng(0)
    )
    return [
        f"The first of {len(rows)} rows on the same songs is lucky, too. Whichever row is best on "
        "artists drawn at random is expected to be right for "
        f"{found.accuracy:.3f} of the songs of the artists that were not drawn (most often, in "
        f"{found.share:.0%} of the draws, {rows[found.favourite].compared.entry.name}): that, not "
        f"{rows[0].scores['accuracy'].value:.3f}, is what to expect of the first row on fresh "
        "songs."
    ]


def _half(first: Row) -> list[str]:
    """What the first row is beside listeners, on equal terms."""
    if first.half is None:
        return []
    return [
        "Half: accuracy against the labels of one random half of a song's listeners, which is "
        "what the listeners' own line says of the other half. First row less the other half: "
        f"{first.half.difference}."
    ]


def _listed(title: str, lines: list[str]) -> list[str]:
    return [title, "\n".join(lines)] if lines else []


def _notes(rows: list[Row]) -> list[str]:
    """Each note once, with the networks that it is about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        if row.compared.note:
            about.setdefault(row.compared.note, []).append(row.compared.entry.arch)
    return [f"- {', '.join(dict.fromkeys(archs))}: {note}" for note, archs in about.items()]


def _heard(rows: list[Row]) -> list[str]:
    names = {name for row in rows for name in row.compared.entry.arch.split(JOIN)}
    heard = {name: find_architecture(name).heard for name in sorted(names)}
    return [f"- {name}: {text}" for name, text in heard.items() if text]


def _markdown_row(row: Row) -> list[str]:
    found = row.compared
    moods = found.predictions.moods
    test = "best"
    if row.against_best is not None:
        difference = row.against_best["accuracy"]
        test = f"{difference.difference.value:+.3f} ({p_text(difference.p_value)})"
    return [
        found.entry.name,
        *(str(row.scores[name]) for name in SCORES),
        "" if row.half is None else f"{row.half.model.value:.3f}",
        *(str(row.scores[f"F1 {mood}"]) for mood in moods),
        test,
        f"{found.num_parameters / 1e6:.2f} M",
        f"{found.seconds:.0f} s",
        f"{found.songs_per_second:.2g}",
        found.licence,
    ]


def _half_of_line(name: str, rows: list[Row]) -> str:
    half = rows[0].half
    return f"{half.listeners.value:.3f}" if half is not None and name == HALVES else ""


def p_text(p_value: float) -> str:
    """Three digits; "< 0.001" below what they show."""
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def reference_lines(predictions, ceiling: Ceiling | None) -> dict[str, Agreement]:
    """Chance, the shortcuts and the listeners, by name."""
    lines = {"drawn as often as the moods are": drawn_at_random(predictions)}
    if ceiling is not None:
        lines |= {f"shortcut: {name}": found for name, found in ceiling.shortcuts.items()}
        listeners = {
            "one listener against the rest": ceiling.one_listener,
            HALVES: ceiling.halves,
            "labels of resampled listeners (bound)": ceiling.resampled,
        }
        lines |= {name: found for name, found in listeners.items() if found is not None}
    return lines


def drawn_at_random(predictions) -> Agreement:
    """Expected scores of moods drawn as often as they are, song by song, without listening.

    Those of the mean confusion matrix.
    """
    counts = Counter(predictions.labels.tolist())
    shares = np.array([counts[mood] for mood in range(len(predictions.moods))], np.float64)
    total = shares.sum()
    hundredfold = np.rint(np.outer(shares, shares) / total * 1e6).astype(np.int64)
    scores = scores_of_confusion(hundredfold)
    nothing = (float("nan"),) * len(shares)
    return Agreement(
        accuracy=scores.accuracy, accuracy_spread=0.0, macro_f1=scores.macro_f1,
        macro_f1_spread=0.0, f1=scores.f1, precision=scores.precision, recall=scores.recall,
        correlation=nothing, num_tracks=int(total),
    )  # fmt: skip


def _write_csv(rows: list[Row], path: Path) -> None:
    moods = rows[0].compared.predictions.moods
    names = (*SCORES, *(f"F1 {mood}" for mood in moods))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [f"{name}{end}" for name in names for end in ("", " low", " high")]
        writer.writerow(
            ["arch", "mode", "head", *columns, "half", "accuracy minus best", "p",
             "macro F1 minus best", "macro F1 p", "parameters", "training seconds",
             "songs per second", "licence", "note", "config hash"]
        )  # fmt: skip
        for row in rows:
            found, test = row.compared, row.against_best
            values = [
                f"{value:.4f}"
                for name in names
                for value in (row.scores[name].value, row.scores[name].low, row.scores[name].high)
            ]
            tested = ["", "", "", ""]
            if test is not None:
                tested = [
                    f"{number:.4f}"
                    for name in ("accuracy", "macro F1")
                    for number in (test[name].difference.value, test[name].p_value)
                ]
            half = "" if row.half is None else f"{row.half.model.value:.4f}"
            writer.writerow(
                [found.entry.arch, found.entry.mode, found.entry.head or "", *values, half, *tested,
                 found.num_parameters, f"{found.seconds:.1f}", f"{found.songs_per_second:.3f}",
                 found.licence, found.note, found.config_hash]
            )  # fmt: skip
