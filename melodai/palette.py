"""The colours of all figures: twelve that are told apart with any colour vision.

The n-th mood of a model has the n-th colour in every figure; from the thirteenth on they come
again, with other marks or hatches. The first seven are those of Okabe and Ito; the others lie, seen
with normal vision, deuteranopia or protanopia, no nearer to any than those do to each other.
"""

COLOURS = (
    "#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#0000FF",
    "#AAEE99", "#443300", "#000044", "#110099",
)  # fmt: skip
PALE = {"#E69F00", "#56B4E9", "#CC79A7", "#AAEE99"}  # on which white letters are hard to read
GREY = "#555555"
MARKS = "osD^vPX<>*dph"  # 13 and 12 have no divisor in common: 156 moods have looks of their own
HATCHES = ("", "////", "....", "xxxx")


def colour_of(index: int) -> str:
    """Of the n-th mood."""
    return COLOURS[index % len(COLOURS)]


def mark_of(index: int) -> str:
    """Of the n-th mood."""
    return MARKS[index % len(MARKS)]


def hatch_of(index: int) -> str:
    """Of the n-th mood: none for the first twelve."""
    return HATCHES[index // len(COLOURS) % len(HATCHES)]
