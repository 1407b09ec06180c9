"""From files to batches: songs, decoded cache, splits, segments, loader."""

from melodai.lazy import public_names

__getattr__, __all__ = public_names(
    __name__,
    {
        "melodai.data.cache": ["build_cache", "default_cache_dir"],
        "melodai.data.corpus": ["Corpus", "prepare"],
        "melodai.data.library": ["read_library"],
        "melodai.data.loader": ["Batch", "TrainingBatches", "evaluation_batches"],
        "melodai.data.segments": ["Segment", "evaluation_windows", "training_window"],
        "melodai.data.splits": ["Split", "make_split", "read_split", "write_split"],
        "melodai.data.store": ["CachedTrack"],
        "melodai.data.tracks": ["Library", "Track"],
        "melodai.data.waveforms": ["CachedWaveforms", "DeviceWaveforms", "open_waveforms"],
    },
)
