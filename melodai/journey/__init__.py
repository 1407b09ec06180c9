"""The study's journey, repeated: every step by its own protocol and by an honest one."""

from melodai.journey.run import JourneySettings, run_journey
from melodai.journey.steps import STEPS

__all__ = ["STEPS", "JourneySettings", "run_journey"]
