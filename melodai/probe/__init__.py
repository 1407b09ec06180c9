"""Heads for frozen networks: fitted in seconds, chosen and calibrated within the training songs."""

HELD_OUT = "held_out.npz"  # in a run folder: what was said of each song while it was held out
