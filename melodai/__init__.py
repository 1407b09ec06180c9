"""melodai tells the mood of music from its sound alone."""

__version__ = "0.1.0"
