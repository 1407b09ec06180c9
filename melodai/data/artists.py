"""Who made a song: the names in a credit, compared as people mean them.

A credit is split wherever it may name several artists (`A feat. B`, `A & B`, `A;B`). That may take
a band apart (`Simon & Garfunkel`) and join it with whoever else is called Simon: to keep too many
songs together costs little, songs of one artist on two sides of a split make a score worthless.
"""

import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence

# Begins the name that stands in for an unknown artist, so that pictures of one song stay together.
STAND_IN = "song "

_BETWEEN = re.compile(
    r"(?:^|(?<=[\s(\[]))"
    r"(?:(?:feat|ft|featuring|with|vs|versus|pres|presents|prod)(?=[\s.])\.?(?: by\b)?|[wf]/)"
    r"|(?<=[\s)\]])(?:and|['’]?n['’]?|und|et|y|e|x|con|avec|mit|meets)(?=\s)|[;,/|\\&+×、\0]",
    re.IGNORECASE,
)
_NO_WORDS = {"the", "and"}  # written or left out as one likes, and moved: "Beatles, The"
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "$": "s"}
    | dict.fromkeys("'’`´")
)
# A part of a credit that has no other words is nobody: "& His Orchestra", ", Jr.", "+ 2".
_COMMON = set(
    """the and an die der das los las la le les el il i de his her their orchestra band choir chorus
    ensemble friends sons co company others guests more all stars strings trio quartet quintet jr sr
    ii iii dj mc feat ft remix topic""".split()  # noqa: SIM905
)


def name_words(name: str | None) -> list[str]:
    """The words of a name without accents, signs, "the" and "and"."""
    folded = unicodedata.normalize("NFKD", (name or "").casefold()).translate(_LETTERS)
    letters = "".join(sign for sign in folded if not unicodedata.combining(sign))
    signs = [s if unicodedata.category(s)[0] in "LNM" else " " for s in letters]
    words = "".join(signs).split() or letters.split()  # "!!!" is a name
    return [word for word in words if word not in _NO_WORDS] or words


NOBODY = {
    "".join(words)
    for name in (
        "-", "?", "n/a", "none", "null", "no artist", "unknown", "unknown artist", "various", "va",
        "various artists", "various artist", "various performers", "multiple artists", "anonymous",
        "traditional", "soundtrack", "original soundtrack", "ost", "diverse", "divers",
        "artistes divers", "diverse artister", "diverse artiesten", "verschiedene",
        "verschiedene interpreten", "verschiedene künstler", "varios", "varios artistas", "vários",
        "vários artistas", "vari", "artisti vari", "aa.vv.", "разные исполнители", "群星",
        "unbekannt", "unbekannter künstler", "unbekannter interpret", "inconnu", "artiste inconnu",
        "sconosciuto", "artista sconosciuto", "desconocido", "artista desconocido", "desconhecido",
        "artista desconhecido", "onbekend", "onbekende artiest", "okänd", "okänd artist",
        "неизвестен", "неизвестный исполнитель", "未知艺术家", "不明なアーティスト",
    )
    for words in (name_words(name), name_words(name)[::-1])  # "Artists, Various"
}  # fmt: skip


def artist_key(credit: str | None) -> str | None:
    """A whole credit as it is compared; None for nobody.

    Case, accents, width and forms of letters, signs, spaces, "The", and "and" for "&" make no
    difference.
    """
    key = "".join(name_words(credit))
    return None if not key or key in NOBODY else key


def artist_names(*credits: str | None) -> dict[str, str]:
    """The key of each artist of a song, with the name as it is written; empty for nobody.

    >>> artist_names("The Who ft. Bob")
    {'whoftbob': 'The Who ft. Bob', 'who': 'The Who', 'bob': 'Bob'}
    """
    found: dict[str, str] = {}
    for credit in credits:
        if (whole := artist_key(credit)) is None:
            continue
        parts = _BETWEEN.split(unicodedata.normalize("NFKC", credit))
        parts = [] if credit.startswith(STAND_IN) else [part.strip(" ()[]") for part in parts]
        if len(parts) == 2 and "," in credit:  # "Mozart, Wolfgang Amadeus"
            found["".join((*name_words(parts[1]), *name_words(parts[0])))] = credit
            if parts[1].casefold() == "a" and " " in parts[0]:  # "Perfect Circle, A"
                parts.pop()
        found[whole] = credit
        for part in parts:
            is_common = all(word in _COMMON or word.isdecimal() for word in name_words(part))
            if not is_common and (key := artist_key(part)):
                found.setdefault(key, part)
    return found


def connected(marks: Sequence[Iterable[Hashable]]) -> list[int]:
    """Group of each item, from 0 on: what has a mark in common, directly or through others.

    >>> connected(["ab", "c", "bd", "d"])
    [0, 1, 0, 0]
    """
    parents = list(range(len(marks)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    first: dict[Hashable, int] = {}
    for index, of_item in enumerate(marks):
        for mark in of_item:
            parents[root(index)] = root(first.setdefault(mark, index))
    roots = [root(index) for index in range(len(marks))]
    numbers = {found: number for number, found in enumerate(dict.fromkeys(roots))}
    return [numbers[found] for found in roots]


def artist_groups(artists: Sequence[str | None]) -> list[int]:
    """Group of each song by its artists; a song of nobody is a group of its own."""
    return connected([artist_names(artist) or [index] for index, artist in enumerate(artists)])
