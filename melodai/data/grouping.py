"""Keeps together what must not be parted, and deals the groups out to folds and validation."""

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from melodai.data.artists import artist_key, artist_names, connected
from melodai.data.tracks import Track
from melodai.errors import SettingError

VALIDATION_DRAWS = 20
Kind = tuple[str, str]  # data set and mood
UNKNOWN_ALBUMS = {"unknownalbum", "untitled", "singles"}


def group_of(tracks: Sequence[Track], keys: Sequence[str]) -> list[int]:
    """Group of each track: what has an artist or a content in common has to stay together."""
    return connected([marks(track, key) for track, key in zip(tracks, keys, strict=True)])


def marks(track: Track, key: str) -> list[tuple[str, str]]:
    """What two tracks on different sides must not have in common.

    That is an artist, or else the album: one without artists is by whoever it is by.
    """
    same = [("song", str(track.path)), ("content", key)]
    if artists := artist_names(track.artist, track.album_artist):
        return same + [("artist", artist) for artist in artists]
    album = artist_key(track.album)
    return same + ([("album", album)] if album and album not in UNKNOWN_ALBUMS else [])


def large_group(tracks: Sequence[Track], groups: Sequence[int]) -> str | None:
    """A sentence about the largest group, if it is more than a third of all songs."""
    [(group, count)] = Counter(groups).most_common(1)
    if 3 * count <= len(tracks):
        return None
    names = [
        artist_names(track.artist, track.album_artist)
        for track, of_track in zip(tracks, groups, strict=True)
        if of_track == group
    ]
    text = f"{count} of {len(tracks)} songs stay on one side of the split"
    commonest = Counter(key for of_track in names for key in of_track).most_common(1)
    if not commonest:
        return text + ", as one album without artists"
    [(key, number)] = commonest
    name = next(of_track[key] for of_track in names if key in of_track)
    return (
        f"{text}, for they share artists, directly or through others; {number} of them name "
        f"{name!r}. If that is no artist, take it out of the artists"
    )


def make_folds(
    tracks: Sequence[Track], groups: Sequence[int], num_folds: int, seed: int
) -> tuple[int, ...]:
    """Fold of each track, stratified by mood and whole in their groups.

    Raises:
        SettingError: there are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    moods = [track.mood for track in tracks]
    num_groups, commonest = len(set(groups)), max(Counter(moods).values())
    if num_folds > min(num_groups, commonest):
        raise SettingError(
            f"--num-folds is {num_folds}, but there are only {num_groups} artists "
            f"(or songs of unknown artists) and at most {commonest} songs of a mood"
        )
    folds = [0] * len(tracks)
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    for number, (_, members) in enumerate(_quietly(splitter, moods, groups)):
        for index in members:
            folds[index] = number
    return tuple(folds)


def _quietly(splitter, moods: Sequence[str], groups: Sequence[int]) -> Iterator[tuple]:
    with warnings.catch_warnings():
        # It warns of moods with fewer songs than folds: some test parts then lack the mood, which
        # is said where it matters.
        warnings.simplefilter("ignore", UserWarning)
        yield from splitter.split(moods, moods, groups)


def draw_validation(
    tracks: Sequence[Track],
    groups: Sequence[int],
    candidates: Sequence[int],
    fraction: float,
    seed: int,
) -> set[int]:
    """Whole groups out of the candidates, close to the fraction of every mood of every data set.

    Groups come in random order and are taken when that brings the counts of the moods nearer to
    their targets; of several such draws the nearest is used. Each mood keeps songs in the rest.
    """
    if fraction == 0:
        return set()
    members = defaultdict(list)
    for index in candidates:
        members[groups[index]].append(index)
    kinds = [(track.data, track.mood) for track in tracks]
    moods_in = {group: Counter(kinds[i] for i in ids) for group, ids in members.items()}
    left = Counter(kinds[index] for index in candidates)
    # At least one group of each mood, or its validation score would be empty.
    smallest = {mood: min(n[mood] for n in moods_in.values() if n[mood]) for mood in left}
    target = {mood: max(float(smallest[mood]), fraction * n) for mood, n in left.items()}
    shuffler = random.Random(f"validation {seed}")
    draws = []
    for _ in range(VALIDATION_DRAWS):
        order = sorted(members)
        shuffler.shuffle(order)
        draws.append(_fill(target, left, {group: moods_in[group] for group in order}))
    _, best = min(draws, key=lambda draw: draw[0])
    return {index for group in best for index in members[group]}


def _fill(
    target: dict[Kind, float], left: Counter[Kind], groups: dict[int, Counter[Kind]]
) -> tuple[float, list[int]]:
    """How far from the target it ends (sum of squares), and the groups that were taken."""
    missing, left, taken = dict(target), Counter(left), []
    for group, counts in groups.items():
        gain = sum(missing[mood] ** 2 - (missing[mood] - n) ** 2 for mood, n in counts.items())
        if gain > 0 and all(left[mood] > n for mood, n in counts.items()):
            taken.append(group)
            left -= counts
            for mood, n in counts.items():
                missing[mood] -= n
    return sum(value**2 for value in missing.values()), taken
