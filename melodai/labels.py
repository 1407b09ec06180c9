"""Moods: names of classes, the sets that are known, and what the words of one mean in another.

The moods of a run are an ordered tuple of names, in any language; the position of a mood is its
class index everywhere. Names are compared without regard to case, spaces and forms of one letter.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

from melodai.errors import SettingError

AUTO = "auto"
THREE = ("energetic", "peaceful", "emotional")
FIVE = ("party", "drive", "calm", "romantic", "sad")
# Of Russell's plane of valence and arousal: ++, −+, −−, +−.
QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
SETS = {"three": THREE, "five": FIVE, "quadrants": QUADRANTS}

# What a word stands for in other sets. The five become three as the study merged them, the
# quadrants both by what they mean: Q2, angry, is energetic, though the study has drive as peaceful.
MEANINGS = {
    "party": ("energetic",),
    "drive": ("peaceful",),
    "calm": ("peaceful",),
    "romantic": ("emotional",),
    "sad": ("emotional",),
    "q1": ("energetic", "party"),
    "q2": ("energetic", "drive"),
    "q3": ("emotional", "sad"),
    "q4": ("peaceful", "calm"),
}


def mood_key(name: str) -> str:
    """The name as it is compared."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The first spelling of each name, without needless spaces; empty ones are left out."""
    found: dict[str, str] = {}
    for name in names:
        if key := mood_key(name):
            found.setdefault(key, unicodedata.normalize("NFC", " ".join(name.split())))
    return tuple(found.values())


def parse_moods(text: str) -> tuple[str, ...] | None:
    """The moods that `--moods` asks for; None leaves them to the data.

    Args:
        text: the name of a set, `auto`, or names with commas (quoted where they hold one).

    Raises:
        SettingError: fewer than two names, or one twice.
    """
    word = text.strip().casefold()
    if word == AUTO:
        return None
    if word in SETS:
        return SETS[word]
    names = [name for name in next(csv.reader([text], skipinitialspace=True), []) if name.strip()]
    moods = distinct(names)
    if len(moods) < 2:
        sets = ", ".join((AUTO, *SETS))
        raise SettingError(f"--moods is {text!r}; choose one of {sets}, or name two moods or more")
    if len(moods) < len(names):
        raise SettingError(f"--moods is {text!r}; it names a mood twice")
    return moods


def moods_text(moods: Sequence[str]) -> str:
    """Moods as `parse_moods` reads them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(moods)
    return text.getvalue()


def mood_of(label: str, moods: Sequence[str]) -> str | None:
    """Which of the moods a label is, or stands for; None if none of them."""
    key = mood_key(label)
    by_key = {mood_key(mood): mood for mood in moods}
    return next((by_key[name] for name in (key, *MEANINGS.get(key, ())) if name in by_key), None)


def moods_for(labels: Iterable[str]) -> tuple[str, ...]:
    """The moods of data with these labels, where nobody says which.

    The quadrants if that is what the labels are; the study's three if every label stands for one
    of them, and each of them is there; else the labels themselves, in alphabetical order.
    """
    names = distinct(labels)
    if all(mood_key(name) in map(mood_key, QUADRANTS) for name in names):
        return QUADRANTS
    if {mood_of(name, THREE) for name in names} == set(THREE):
        return THREE
    return tuple(sorted(names, key=mood_key))
