"""File names made of what strangers wrote."""

import re
import unicodedata
from urllib.parse import unquote, urlsplit

MAX_BYTES = 160  # of 255: a number, a suffix and a temporary ending must still fit
FALLBACK = "song"

# Everything that separates, quotes, expands or is forbidden on one of the systems.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])", re.IGNORECASE)


def safe_name(text: str) -> str:
    """One component of a path that every system takes, without meaning to any of them.

    Composed Unicode (NFC), no control or invisible characters, no separators, no leading dot or
    dash, no dot or space at the end, no device of Windows, at most 160 bytes; "song" if nothing is
    left.
    """
    text = unicodedata.normalize("NFC", text)
    text = "".join(
        letter for letter in _FORBIDDEN.sub(" ", text) if unicodedata.category(letter)[0] != "C"
    )
    text = " ".join(text.split()).lstrip(".-~ ")
    text = text.encode()[:MAX_BYTES].decode(errors="ignore").rstrip(". ")
    if _RESERVED.fullmatch(text.partition(".")[0].rstrip()):
        text = f"_{text}"
    return text or FALLBACK


def song_stem(artist: str, title: str, url: str) -> str:
    """ "artist - title", or what is known of it, or the last part of the URL; without a suffix."""
    if known := [part for part in (artist, title) if part]:
        return safe_name(" - ".join(known))
    return safe_name(url_name(url).rpartition(".")[0] or url_name(url))


def url_name(url: str) -> str:
    """The last part of a URL's path, not yet a safe name."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def collision_key(name: str) -> str:
    """Equal for names that some system takes for one file."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
