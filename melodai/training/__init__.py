"""Training: one trainer for every architecture."""
