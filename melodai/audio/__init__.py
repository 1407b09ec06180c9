"""From audio files of every kind to what is heard of them."""

from melodai.audio.containers import AUDIO_SUFFIXES, check_is_file, open_container
from melodai.audio.hearing import Hearing
from melodai.audio.reader import Decoded, SongReader, decode, from_samples
from melodai.audio.tags import DAMAGED_TAGS, Tags

__all__ = [
    "AUDIO_SUFFIXES",
    "DAMAGED_TAGS",
    "Decoded",
    "Hearing",
    "SongReader",
    "Tags",
    "check_is_file",
    "decode",
    "from_samples",
    "open_container",
]
