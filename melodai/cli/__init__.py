"""The commands. Everything that prints stands here."""
