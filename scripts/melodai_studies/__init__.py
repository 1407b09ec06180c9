"""The study and what was measured beside it: on top of melodai, which does not need it."""
