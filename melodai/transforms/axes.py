"""Where the rows and columns of features lie in frequency and time."""

from typing import NamedTuple

import numpy as np


class FeatureAxes(NamedTuple):
    """Edges of the cells of `(batch, 1, height, width)` features.

    A front end that has a method `axes(num_samples) -> FeatureAxes` can be explained cell by cell.

    Attributes:
        hz: `(height + 1,)`, rising; row i reaches from `hz[i]` to `hz[i + 1]`.
        seconds: `(width + 1,)`, rising, from the start of the window.
    """

    hz: np.ndarray
    seconds: np.ndarray
