"""Figures whose words can be read, in whatever language they are."""

import unicodedata
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

# After the font that comes with matplotlib, those of the systems that have more letters.
FALLBACKS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Hiragino Sans", "Yu Gothic",
    "Meiryo", "MS Gothic", "Microsoft YaHei", "PingFang SC", "Malgun Gothic", "IPAexGothic",
    "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Devanagari",
    "Noto Emoji", "Segoe UI Symbol", "Segoe UI Emoji", "Symbola",
)  # fmt: skip


def legible(figure: Figure) -> Figure:
    """The figure with fonts for all its letters; of those that no font has, names or numbers."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [text.get_text() for text in axis.get_ticklabels()]
            if isinstance(axis.get_major_locator(), FixedLocator) and not "".join(labels).isascii():
                axis.set_ticklabels(list(map(_readable, labels)))
    for text in figure.findobj(Text):
        words = text.get_text()
        if "$" in words and "\\math" not in words:
            text.set_parse_math(False)
        if not words.isascii():
            text.set_fontfamily(list(_fonts()))
            text.set_text(_readable(words))
    return figure


def _readable(words: str) -> str:
    return "".join(map(_shown, words))


@cache
def _fonts() -> dict[str, frozenset[int]]:
    """Letters of each font at hand."""
    here = {font.name for font in font_manager.fontManager.ttflist}
    return {
        name: frozenset(font_manager.get_font(font_manager.findfont(name)).get_charmap())
        for name in ("DejaVu Sans", *FALLBACKS)
        if name in here
    }


@cache
def _shown(letter: str) -> str:
    """The letter, or what it is called: な is `na`, 🔥 is `[fire]`, 切 is `[U+5207]`."""
    if letter.isascii() or any(ord(letter) in letters for letters in _fonts().values()):
        return letter
    if unicodedata.category(letter)[0] in "CM":  # invisible, or a sign on the letter before
        return ""
    kind, _, name = unicodedata.name(letter, "").casefold().rpartition(" letter ")
    if kind:
        return name.removeprefix("small ")
    is_named = name and letter.isprintable() and unicodedata.category(letter) == "So"
    return f"[{name}]" if is_named else f"[U+{ord(letter):04X}]"
