"""Which seconds and which frequencies carry an answer, and which songs are near."""
