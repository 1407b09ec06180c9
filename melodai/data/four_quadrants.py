"""The layout of the 4Q data set: `Q1…Q4/<song>.mp3` and `clips.csv`.

R. Panda, R. Malheiro, R. P. Paiva, "Novel audio features for music emotion recognition", IEEE
Transactions on Affective Computing, 2018: clips of commercial recordings in the quadrants of
Russell's plane of emotion, Q1 happy, Q2 angry, Q3 sad, Q4 calm.
"""

from pathlib import Path

from melodai.data.manifest import read_rows
from melodai.data.tracks import Library, Track, listing, relative_name
from melodai.errors import DataError
from melodai.labels import QUADRANTS, mood_of

TABLE = "clips.csv"
_COLUMNS = ("file", "quadrant", "artist", "title", "genres", "artist_key", "fold")


def is_four_quadrants(root: Path) -> bool:
    """Whether the folder has this layout."""
    return (root / TABLE).is_file() and any((root / name).is_dir() for name in QUADRANTS)


def read_four_quadrants(root: Path) -> Library:
    """Reads the clips that are there; those of the table that are missing are simply not there.

    Raises:
        DataError: the table lacks columns or holds a wrong value, or no clip is there.
    """
    path = root / TABLE
    columns, rows = read_rows(path)
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise DataError(f"{path}: it lacks the column {', '.join(missing)}")
    tracks = []
    for line, row in rows:
        quadrant = mood_of(row["quadrant"], QUADRANTS)
        if quadrant is None or not row["fold"].isdecimal():
            raise DataError(
                f"{path}, row {line}: {row['quadrant']!r} and {row['fold']!r} are not a quadrant "
                f"({', '.join(QUADRANTS)}) and a whole number"
            )
        clip = root / row["file"]
        if clip.is_file():
            tracks.append(
                Track(
                    path=clip,
                    mood=quadrant,
                    name=relative_name(clip, root),
                    artist=row["artist"] or row["artist_key"] or None,
                    title=row["title"] or None,
                    genre=row["genres"].partition(";")[0].strip() or None,
                    fold=int(row["fold"]),
                )
            )
    if not tracks:
        raise DataError(f"{root}: none of the clips in {TABLE} is there")
    present = {track.name for track in tracks}
    unlisted = [
        name
        for quadrant in QUADRANTS
        for clip in sorted((root / quadrant).glob("*.mp3"))
        if (name := relative_name(clip, root)) not in present
    ]
    text = f"clips that are not in {TABLE} are left out: {listing(unlisted)}"
    return Library(
        name="4q", root=root, moods=QUADRANTS, tracks=tuple(tracks),
        warnings=(text,) if unlisted else (),
    )  # fmt: skip
