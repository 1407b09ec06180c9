"""What was heard of a file, and what was not: one record for cache, answers and pictures."""

from typing import NamedTuple

import numpy as np

# Less than that is not worth a word.
LEAST_LOST, LEAST_SILENT = 0.1, 10.0


class Hearing(NamedTuple):
    """What was heard.

    Attributes:
        seconds: of sound that was listened to.
        silences: (start, end) in seconds of the file, in order: not listened to.
        lost_seconds: what is damaged or missing, as far as the file lets it be known.
        remarks: what else a listener should know.
    """

    seconds: float = 0.0
    silences: tuple[tuple[float, float], ...] = ()
    lost_seconds: float = 0.0
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: list) -> "Hearing":
        """What `json.dumps` made of one."""
        seconds, silences, lost_seconds, remarks = values
        return cls(seconds, tuple(map(tuple, silences)), lost_seconds, tuple(remarks))

    @property
    def silent_seconds(self) -> float:
        """All silences together."""
        return sum(end - start for start, end in self.silences)

    @property
    def whole_seconds(self) -> float:
        """Length of the file, silences included."""
        return self.seconds + self.silent_seconds

    @property
    def words(self) -> str:
        """All that is worth a remark; empty where the whole file was heard."""
        parts = list(self.remarks)
        if self.lost_seconds >= LEAST_LOST:
            parts.append(f"damaged: {self.lost_seconds:.1f} s lost")
        if self.silent_seconds >= LEAST_SILENT:
            parts.append(f"{self.silent_seconds:.0f} s silent")
        return "; ".join(parts)

    def place(self, seconds: float | np.ndarray, *, is_end: bool = False) -> float | np.ndarray:
        """Where in the file a moment of what was heard lies, in seconds.

        Args:
            is_end: something ends there: at a silence, before it rather than after it.

        >>> Hearing(10.0, ((2.0, 5.0),)).place(2.0), Hearing(10.0, ((2.0, 5.0),)).place(3.0)
        (5.0, 6.0)
        """
        left_out = np.cumsum([0.0, *(end - start for start, end in self.silences)])
        cuts = [start for start, _ in self.silences] - left_out[:-1]
        found = np.searchsorted(cuts, seconds, side="left" if is_end else "right")
        moved = np.asarray(seconds + left_out[found])
        return moved if moved.ndim else float(moved)
