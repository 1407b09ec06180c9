"""What is said of a song."""

from dataclasses import dataclass
from pathlib import Path

from melodai.audio import Hearing

UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True)
class WindowMood:
    """The moods of one window, by the file's time; `probabilities` as in `SongMood.moods`."""

    start_seconds: float
    end_seconds: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SongMood:
    """The mood of a song.

    Attributes:
        file: as it was given or found.
        mood: the likeliest one, or "unsure" where its probability is below what was asked for.
        confidence: probability of the likeliest mood.
        moods: all that could have been said.
        probabilities: calibrated, in the order of `moods`; they sum to 1.
        hearing: what was listened to, and what was not.
        unfamiliarity: how far the song is from what the model learned; above 1 it is farther than
            99 % of that, and the answer means little. NaN where the model did not keep its songs.
        windows: the moods over time; none where only pieces of the song were heard.
    """

    file: Path
    mood: str
    confidence: float
    moods: tuple[str, ...]
    probabilities: tuple[float, ...]
    hearing: Hearing
    unfamiliarity: float
    windows: tuple[WindowMood, ...]
    artist: str | None = None
    title: str | None = None

    @property
    def seconds(self) -> float:
        """How much of the song was heard."""
        return self.hearing.seconds

    @property
    def is_unfamiliar(self) -> bool:
        """Whether the song is far from what the model learned."""
        return self.unfamiliarity > 1
