"""Spectrogram pictures on the disk: the study's way from songs to a network."""

# Of a song, of a segment, and pixels a side before they are made small.
NUM_SEGMENTS, NUM_COPIES, IMAGE_SIZE = 2, 2, 256
