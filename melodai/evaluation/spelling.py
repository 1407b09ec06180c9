"""Artists that are spelled in two ways and would count as two."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations

from melodai.data.artists import artist_key, artist_names, name_words

LIKENESS = 0.83  # of two words that differ by a slip of the pen: one letter in six
SHORTEST = 6  # letters: shorter words differ by one letter and are two names


@dataclass(frozen=True)
class Spelling:
    """Two spellings that are probably one artist, and why."""

    one: str
    other: str
    reason: str


def find_spellings(artists: list[str]) -> tuple[Spelling, ...]:
    """Pairs of different credits (case and spaces apart) that probably name the same artist."""
    names = sorted({" ".join(name.casefold().split()): name for name in artists}.values())
    keys = {name: artist_names(name).keys() for name in names}
    words = {name: name_words(name) for name in names}
    found = []
    for one, other in combinations([name for name in names if keys[name]], 2):
        if artist_key(one) == artist_key(other):
            found.append(Spelling(one, other, "the same but for accents, signs or articles"))
        elif keys[one] & keys[other]:
            found.append(Spelling(one, other, "an artist in common"))
        elif sorted(words[one]) == sorted(words[other]):
            found.append(Spelling(one, other, "the same words in another order"))
        elif _is_slip(words[one], words[other]):
            found.append(Spelling(one, other, "nearly the same letters"))
    return tuple(found)


def _is_slip(one: list[str], other: list[str]) -> bool:
    """Whether all words are the same but one long one, which is nearly so."""
    if len(one) != len(other):
        return False
    different = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    if len(different) != 1 or min(map(len, different[0])) < SHORTEST:
        return False
    return SequenceMatcher(None, *different[0], autojunk=False).ratio() >= LIKENESS
