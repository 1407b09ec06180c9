"""How far a run has come."""

from dataclasses import dataclass, field
from typing import Any

from melodai.training.schedule import Best


@dataclass
class Progress:
    """How far a run has come; all that a checkpoint holds beside tensors of the model.

    Attributes:
        epoch: the epoch at work, from 1.
        step: the next step of it, from 0.
        seconds: time trained, over all sessions.
        gradient_norms: sum over the steps of this epoch.
    """

    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    gradient_norms: float = 0.0
    best: Best = field(default_factory=Best)
    history: list[dict[str, Any]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {**vars(self), "best": vars(self.best)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> "Progress":
        """What `state_dict` gave."""
        return cls(**{**state, "best": Best(**state["best"])})
