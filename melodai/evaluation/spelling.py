"""Artists that are spelled in two ways and would count as two."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations

from melodai.data.tracks import artist_key

GUESTS = re.compile(r"\s[(\[]?(?:feat|ft|featuring|with|vs)\b\.?.*$")
LIKENESS = 0.83  # of two words that differ by a slip of the pen: one letter in six
SHORTEST = 6  # letters: shorter words differ by one letter and are two names


@dataclass(frozen=True)
class Spelling:
    """Two spellings that are probably one artist, and why."""

    one: str
    other: str
    reason: str


def find_spellings(artists: list[str]) -> tuple[Spelling, ...]:
    """Pairs of different spellings (case and spaces apart) that are probably the same artist."""
    names = sorted({artist_key(artist): artist for artist in artists}.values())
    plain = {name: _plain(name) for name in names}
    without_guests = {name: _plain(GUESTS.sub("", _folded(name))) for name in names}
    found = []
    for one, other in combinations(names, 2):
        words, others = plain[one], plain[other]
        if not words or not others:
            continue
        if words == others:
            found.append(Spelling(one, other, "the same but for accents, signs or articles"))
        elif "".join(words) == "".join(others):
            found.append(Spelling(one, other, "the same but for spaces"))
        elif sorted(words) == sorted(others):
            found.append(Spelling(one, other, "the same words in another order"))
        elif without_guests[one] == without_guests[other]:
            found.append(Spelling(one, other, "the same but for guests"))
        elif _is_slip(words, others):
            found.append(Spelling(one, other, "nearly the same letters"))
    return tuple(found)


def _folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def _plain(name: str) -> list[str]:
    """Words without accents, signs and leading articles."""
    words = re.findall(r"\w+", re.sub(r"['’`]", "", _folded(name).replace("&", " and ")))
    articles = {"the", "a"}
    if len(words) > 1 and words[-1] in articles:  # "Beatles, The"
        words = words[:-1]
    return words[1:] if len(words) > 1 and words[0] in articles else words


def _is_slip(one: list[str], other: list[str]) -> bool:
    """Whether all words are the same but one long one, which is nearly so."""
    if len(one) != len(other):
        return False
    different = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    if len(different) != 1 or min(map(len, different[0])) < SHORTEST:
        return False
    return SequenceMatcher(None, *different[0], autojunk=False).ratio() >= LIKENESS
