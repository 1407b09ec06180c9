"""What became of many songs, in few words."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from melodai.predict.rows import Row

MOST_SHOWN = 40


@dataclass
class Summary:
    """Counts over all rows, and the first rows in full.

    Attributes:
        num_rows: songs, those included that could not be listened to.
        moods: songs of each mood.
        num_unfamiliar: songs far from what the model learned.
        shown, failed: the first rows with a mood and with an error.
        num_failed: how many have an error.
        remarked: the first rows with a mood and a remark.
        num_remarked: how many have both.
        lost_seconds: damaged or missing in all songs.
    """

    num_rows: int = 0
    moods: Counter[str] = field(default_factory=Counter)
    num_unfamiliar: int = 0
    shown: list[Row] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)
    num_failed: int = 0
    remarked: list[Row] = field(default_factory=list)
    num_remarked: int = 0
    lost_seconds: float = 0.0


def summarise(rows: Iterable[Row]) -> Summary:
    """Counts rows; memory does not grow with their number."""
    summary = Summary()
    for row in rows:
        summary.num_rows += 1
        summary.num_unfamiliar += bool(row.is_unfamiliar)
        summary.lost_seconds += row.lost_seconds or 0.0
        if row.remarks:
            summary.num_remarked += 1
            if len(summary.remarked) < MOST_SHOWN:
                summary.remarked.append(row)
        kept = summary.shown
        if row.mood is None:
            summary.num_failed += 1
            kept = summary.failed
        else:
            summary.moods[row.mood] += 1
        if len(kept) < MOST_SHOWN:
            kept.append(row)
    return summary
