"""The published layout of Emotify, and how its votes become moods.

A. Aljanaki, F. Wiering, R. C. Veltkamp, "Studying emotion induced by music through a crowdsourcing
game", Information Processing & Management, 2016. `emotifymusic/<genre>/<n>.mp3` and `data.csv` with
the votes of each listener on nine emotions; `folds.csv`, where there is one, adds artists and
folds. Songs that are missing, of the 400, are simply not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melodai.data.manifest import read_table
from melodai.data.tracks import Library, Track, listing, relative_name
from melodai.errors import DataError
from melodai.labels import FIVE, THREE, mood_of

GENRES = ("classical", "rock", "electronic", "pop")  # 100 tracks each, in this order
SONGS_PER_GENRE = 100

# A mood's score is the mean share of listeners who chose its emotions.
EMOTIONS = {
    "energetic": ("joyful_activation", "power"),
    "peaceful": ("calmness", "solemnity"),
    "emotional": ("tenderness", "nostalgia", "sadness"),
    "party": ("joyful_activation",),
    "drive": ("power",),
    "calm": ("calmness",),
    "romantic": ("tenderness",),
    "sad": ("sadness", "nostalgia"),
}
TIE = 1e-9


@dataclass(frozen=True)
class Votes:
    """Votes for a song: listeners in all, and those who chose each emotion."""

    num_listeners: int
    counts: dict[str, int]


def is_emotify(root: Path) -> bool:
    """Whether the folder has the published layout."""
    return (root / "emotifymusic").is_dir() and (root / "data.csv").is_file()


def read_emotify(root: Path, wanted: Sequence[str] | None) -> Library:
    """Reads the songs that are there, with hard and soft labels from the votes.

    The votes say which of three moods a song has; which of five, if none of the three is wanted.
    Without `folds.csv` the artists come from the files' tags, later.

    Raises:
        DataError: a table lacks columns, or no song is there.
    """
    moods = FIVE if wanted and not any(mood_of(mood, wanted) for mood in THREE) else THREE
    votes = read_votes(root / "data.csv")
    folds = _read_folds(root / "folds.csv") if (root / "folds.csv").is_file() else None
    tracks, warnings, unlisted, unlabelled = [], [], [], []
    for number, of_song in sorted(votes.items()):
        path = song_path(root, number)
        if not path.is_file():
            continue
        name = relative_name(path, root)
        label = label_of(of_song, moods)
        row = {} if folds is None else folds.get(number)
        if row is None or label is None:
            (unlisted if row is None else unlabelled).append(name)
            continue
        mood, scores = label
        tracks.append(
            Track(
                path=path,
                mood=mood,
                name=name,
                scores=scores,
                num_votes=of_song.num_listeners,
                artist=row.get("artist") or None,
                album=row.get("album") or None,
                genre=path.parent.name,
                fold=int(row["fold"]) if row else None,
            )
        )
    if not tracks:
        raise DataError(f"{root / 'emotifymusic'}: none of the songs in data.csv is there")
    if unlisted:
        warnings.append(f"songs that are not in folds.csv are left out: {listing(unlisted)}")
    if unlabelled:
        warnings.append(f"songs without votes for any mood are left out: {listing(unlabelled)}")
    return Library(
        name="emotify",
        root=root,
        moods=moods,
        tracks=tuple(tracks),
        warnings=tuple(warnings),
    )


def song_path(root: Path, number: int) -> Path:
    """File of the track with this number (1 to 400)."""
    genre, position = divmod(number - 1, SONGS_PER_GENRE)
    return root / "emotifymusic" / GENRES[genre] / f"{position + 1}.mp3"


def read_votes(path: Path) -> dict[int, Votes]:
    """Votes by track number, from the published table of a row a listener and song."""
    columns, rows = read_table(path)
    emotions = sorted({name for names in EMOTIONS.values() for name in names})
    if missing := [name for name in ("track id", *emotions) if name not in columns]:
        raise DataError(f"{path}: not the published table, it lacks {', '.join(missing)}")
    votes: dict[int, Votes] = {}
    for line, row in enumerate(rows, start=2):
        try:
            number = int(row["track id"])
            chosen = {name: int(row[name]) for name in emotions}
        except ValueError as error:
            raise DataError(f"{path}, row {line}: {error}") from error
        if not 1 <= number <= len(GENRES) * SONGS_PER_GENRE:
            raise DataError(f"{path}, row {line}: track id {number} is not from 1 to 400")
        before = votes.get(number, Votes(0, dict.fromkeys(emotions, 0)))
        counts = {name: before.counts[name] + chosen[name] for name in emotions}
        votes[number] = Votes(before.num_listeners + 1, counts)
    return votes


def label_of(votes: Votes, moods: Sequence[str]) -> tuple[str, tuple[float, ...]] | None:
    """Hard label and soft label; None if nobody chose an emotion of any mood.

    The mood with the highest score wins, of equal ones that with the higher sum of rates. The soft
    label is the scores divided by their sum.
    """
    rates = {
        mood: [votes.counts[name] / votes.num_listeners for name in EMOTIONS[mood]]
        for mood in moods
    }
    scores = {mood: sum(values) / len(values) for mood, values in rates.items()}
    total = sum(scores.values())
    if total <= 0:
        return None
    best = max(scores.values())
    leaders = [mood for mood, score in scores.items() if score >= best - TIE]
    mood = max(leaders, key=lambda mood: sum(rates[mood]))
    return mood, tuple(score / total for score in scores.values())


def _read_folds(path: Path) -> dict[int, dict[str, str]]:
    columns, rows = read_table(path)
    if missing := [name for name in ("track", "fold") if name not in columns]:
        raise DataError(f"{path}: it lacks the column {', '.join(missing)}")
    for line, row in enumerate(rows, start=2):
        if not (row["track"].isdecimal() and row["fold"].isdecimal()):
            raise DataError(f"{path}, row {line}: track and fold must be whole numbers")
    return {int(row["track"]): row for row in rows}
