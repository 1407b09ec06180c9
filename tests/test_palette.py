"""Colours can be told apart, also by those who do not see red or green."""

import numpy as np
import pytest

from melodai.palette import COLOURS, colour_of, hatch_of, mark_of

# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision
# deficiency, 2009: severity 1, linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}  # fmt: skip
TO_XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])


def seen(vision):
    """The colours in CIELAB, `(colour, 3)`, as someone with this vision sees them."""
    rgb = np.array([[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for text in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(VISIONS[vision]), 0, 1) @ TO_XYZ.T
    f = xyz / [0.9505, 1, 1.0888]
    f = np.where(f > 216 / 24389, np.cbrt(f), (24389 / 27 * f + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("vision", VISIONS)
def test_twelve_colours_are_far_from_each_other_with_any_colour_vision(vision):
    colours = seen(vision)
    distances = np.linalg.norm(colours[:, None] - colours, axis=-1)
    distances[np.diag_indices(12)] = np.inf
    assert distances.min() > 17  # of 100 from black to white; 2 can just be told apart


def test_more_moods_than_colours_are_told_apart_by_marks_and_hatches():
    looks = [(colour_of(n), mark_of(n), hatch_of(n)) for n in range(40)]
    assert len(set(looks)) == 40
    assert len({(colour, hatch) for colour, _, hatch in looks}) == 40
