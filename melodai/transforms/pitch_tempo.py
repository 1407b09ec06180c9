"""Pitch and tempo, drawn here and carried out elsewhere at no cost.

*Pitch* is moved by the mel bank (`filter_bank.mel_filters`): a sound moved up by the ratio p has at
p·f the power it had at f. *Tempo* is changed by the loader, which takes a window `tempo` times as
long, and by the front end, which resizes every window to the same width.
"""

import torch
from torch import Tensor

from melodai.transforms.base import uniform


class Pitch:
    """Moves every frequency of a sound.

    Args:
        semitones: largest shift, up or down.
    """

    def __init__(self, semitones: float) -> None:
        self.semitones = semitones

    def sample(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """Frequency ratios `(batch,)`: 2 is an octave up."""
        return torch.exp2(uniform(-self.semitones, self.semitones, batch_size, generator) / 12)


class Tempo:
    """Plays a piece faster or slower at the same pitch.

    Args:
        share: largest change; 0.1 is from 90 % to 110 %.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def sample(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """Speeds `(batch,)`: at 1.1, a window 1.1 times as long fills the picture."""
        return uniform(1 - self.share, 1 + self.share, batch_size, generator)
