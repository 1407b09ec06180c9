"""From files to batches: songs, decoded cache, splits, segments, loader."""
