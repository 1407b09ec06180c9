"""File names made of what people wrote."""

import re
import unicodedata
from collections.abc import Sequence

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # on one of the systems
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])", re.IGNORECASE)
MAX_BYTES = 160  # of 255: a number, a suffix and a temporary ending must still fit


def safe_name(text: str) -> str:
    """One component of a path that every system takes, without meaning to any of them."""
    text = _FORBIDDEN.sub(" ", unicodedata.normalize("NFC", text))
    text = "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")
    text = " ".join(text.split()).lstrip(".-~ ").encode()[:MAX_BYTES].decode(errors="ignore")
    text = text.rstrip(". ")
    return f"_{text}" if _RESERVED.fullmatch(text.partition(".")[0].rstrip()) else text or "song"


def collision_key(name: str) -> str:
    """Equal for names that some system takes for one file."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def distinct_names(texts: Sequence[str]) -> list[str]:
    """A safe name for each text, told apart by numbers where some system takes them for one."""
    names: list[str] = []
    for text in texts:
        name, number = safe_name(text), 1
        while collision_key(name) in map(collision_key, names):
            number += 1
            name = f"{safe_name(text)} ({number})"
        names.append(name)
    return names
