"""Moods and how they merge.

A taxonomy is an ordered tuple of moods; the position of a mood is its class index everywhere.
"""

from melodai.errors import SettingError

FIVE = ("party", "drive", "calm", "romantic", "sad")
THREE = ("energetic", "peaceful", "emotional")
TAXONOMIES = {"three": THREE, "five": FIVE}

# The study's merge of its five moods into three.
FIVE_TO_THREE = {
    "party": "energetic",
    "drive": "peaceful",
    "calm": "peaceful",
    "romantic": "emotional",
    "sad": "emotional",
}


def moods_of(taxonomy: str) -> tuple[str, ...]:
    """Moods of the named taxonomy, in class order.

    Raises:
        SettingError: the taxonomy is unknown.
    """
    if taxonomy not in TAXONOMIES:
        raise SettingError(f"unknown taxonomy {taxonomy!r}; choose one of {', '.join(TAXONOMIES)}")
    return TAXONOMIES[taxonomy]


def to_taxonomy(mood: str, taxonomy: str) -> str | None:
    """The mood's name in the taxonomy, merged from five to three where needed.

    Case and surrounding spaces do not matter. None if the mood has no place in the taxonomy
    (an unknown word, or one of three moods where five are asked for).
    """
    name = mood.strip().casefold()
    if name in moods_of(taxonomy):
        return name
    return FIVE_TO_THREE.get(name) if taxonomy == "three" else None
