"""Decodes any audio file into mono int16 at one sample rate.

PyAV carries FFmpeg in its wheel, so every format works on every machine. Files come from anywhere:
only demuxers of real audio files are admitted and only local files are opened, so that a playlist
or a concat script that calls itself `.mp3` cannot make the program read other files or the network.
"""

import itertools
import logging
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import mutagen
import numpy as np
import soxr

from melodai.errors import AudioError

logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = {
    ".mp3", ".flac", ".ogg", ".oga", ".opus", ".wav", ".m4a", ".m4b", ".mp4", ".aac",
    ".aif", ".aiff", ".wma", ".mka", ".webm", ".caf", ".wv", ".ape",
}  # fmt: skip
DEMUXERS = "mp3,flac,ogg,wav,w64,aiff,mov,mp4,m4a,aac,matroska,webm,caf,au,wv,ape,tta,mpc,mpc8,asf"

MIN_SECONDS = 3.0
MAX_SECONDS = 12 * 3600.0  # 1.9 GB of int16 at 22,050 Hz: a longer one is no song
SILENCE_DBFS = -60.0
MAX_LEVEL = 32.0  # 30 dB above full scale; beyond it a float file is not in the range ±1
MAX_DAMAGED_SHARE = 0.1
SAMPLE_RATES_HZ = (1_000, 768_000)
MAX_CHANNELS = 64
BLOCK_SAMPLES = 1 << 16  # frames hold about 1,000 samples: resampling each alone costs more time

# What mutagen lets escape from files whose structure is damaged, besides its own errors.
DAMAGED_TAGS = (
    mutagen.MutagenError, ValueError, LookupError, TypeError, AttributeError, struct.error,
    OverflowError, EOFError, AssertionError,
)  # fmt: skip

_SCALES = {"u8": 1 / 128, "s16": 1 / 32768, "s32": 1 / 2**31, "flt": 1.0, "dbl": 1.0}


class Tags(NamedTuple):
    """What the file says about itself; None where it says nothing. Several artists have a ";"."""

    artist: str | None = None
    album: str | None = None
    title: str | None = None
    album_artist: str | None = None


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Attributes:
        waveform: int16 (time,), mono.
        num_damaged: packets that could not be decoded and were left out.
    """

    waveform: np.ndarray
    sample_rate: int
    tags: Tags
    num_damaged: int = 0


@dataclass
class _Packets:
    total: int = 0
    damaged: int = 0


class SongReader:
    """Reads a file piece by piece: iterating gives int16 blocks `(time,)`, mono.

    The channels are mixed down to their mean and resampled (soxr, high quality). Memory does not
    grow with the length of the file. A few damaged packets are left out and counted.

    Args:
        sample_rate: of the blocks, in Hz.

    Attributes:
        tags, num_samples, num_damaged: known when the last block has come.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int) -> None:
        self.path, self.sample_rate = Path(path), sample_rate
        self.tags, self.num_samples, self.num_damaged = Tags(), 0, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """The blocks.

        Raises:
            AudioError: as `decode` does; what is true of the whole file, after its last block.
            OSError: it may not be read.
        """
        if not self.path.is_file():
            raise AudioError("no such file")
        if self.path.stat().st_size == 0:
            raise AudioError("the file is empty")
        self.path.open("rb").close()  # whoever may not read it is told so, and not that it is bad
        packets, lowest, highest = _Packets(), 32767, -32768
        with open_container(self.path) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise AudioError("there is no audio in it that can be decoded")
            stream.codec_context.thread_count = 1  # the files are decoded in parallel already
            if stream.codec_context.name == "flac":  # else it passes damaged frames on as noise
                stream.codec_context.options = {"err_detect": "crccheck+explode"}
            self.tags = _tags(self.path, {**stream.metadata, **container.metadata})
            for piece in _resample(_frames(container, stream, packets), self.sample_rate):
                block = _to_int16(piece)
                if block.size:
                    lowest = min(lowest, int(block.min()))
                    highest = max(highest, int(block.max()))
                self.num_samples += len(block)
                if self.num_samples > MAX_SECONDS * self.sample_rate:
                    raise AudioError(f"longer than {MAX_SECONDS / 3600:g} hours")
                yield block
        self.num_damaged = packets.damaged
        if not self.num_samples:
            raise AudioError("nothing in it could be decoded")
        if packets.damaged > MAX_DAMAGED_SHARE * packets.total:
            raise AudioError(
                f"damaged: {packets.damaged} of {packets.total} packets cannot be decoded"
            )
        check_is_sound(self.num_samples, lowest, highest, self.sample_rate)
        if packets.damaged:
            logger.warning("%s: %d damaged packets left out", self.path, packets.damaged)


def decode(
    path: str | os.PathLike[str],
    sample_rate: int,
    *,
    on_progress: Callable[[], None] = lambda: None,
) -> Decoded:
    """Decodes a whole file, see `SongReader`; beyond the result (2 bytes a sample) it needs little.

    Args:
        sample_rate: of the result, in Hz.
        on_progress: called every few seconds of audio.

    Raises:
        AudioError: the file is missing, empty or not audio, cannot be decoded, holds NaN or
            infinite samples, is silent (peak below -60 dBFS) or shorter than 3 s.
    """
    reader, blocks = SongReader(path, sample_rate), []
    for block in reader:
        blocks.append(block)
        on_progress()
    return Decoded(np.concatenate(blocks), sample_rate, reader.tags, reader.num_damaged)


def from_samples(samples: np.ndarray, sample_rate: int, wanted_rate: int) -> np.ndarray:
    """Samples at hand, as if they had been decoded: int16 `(time,)` at the wanted rate.

    Args:
        samples: `(time,)` or `(channel, time)`, float in ±1 or int16.

    Raises:
        AudioError: see `decode`.
    """
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or not 1 <= len(samples) <= MAX_CHANNELS:
        raise AudioError(f"samples of shape {samples.shape} are not (time,) or (channel, time)")
    scale = _SCALES["s16"] if samples.dtype == np.int16 else 1.0
    mono = _checked((samples.mean(axis=0, dtype=np.float64) * scale).astype(np.float32))
    if not mono.size:
        raise AudioError("there are no samples in it")
    waveform = _to_int16(soxr.resample(mono, sample_rate, wanted_rate, quality="HQ"))
    check_is_sound(len(waveform), int(waveform.min()), int(waveform.max()), wanted_rate)
    return waveform


def open_container(path: Path) -> av.container.InputContainer:
    """Opens a local file with a demuxer of audio files, whatever its name says.

    Raises:
        AudioError: it is none of them.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    try:
        # The prefix keeps a name such as "concat:a.mp3" from being read as a protocol.
        return av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise AudioError("not an audio file, or its header is damaged") from error


def _frames(container, stream, packets: _Packets) -> Iterator[av.AudioFrame]:
    """Frames that can be decoded; counts the packets and those left out."""
    source = container.demux(stream)
    while True:
        try:
            packet = next(source, None)
        except av.FFmpegError:  # a file cut off in the middle of a packet
            packets.total += 1
            packets.damaged += 1
            return
        if packet is None:
            return
        packets.total += 1
        try:
            frames = packet.decode()
        except av.FFmpegError:
            packets.damaged += 1
            continue
        yield from frames


def _resample(frames: Iterable[av.AudioFrame], sample_rate: int) -> Iterator[np.ndarray]:
    """Mono blocks at the wanted rate, float32 (time,)."""
    # The rate is the frame's, not the header's: HE-AAC headers give half of it, and files that
    # were joined together change it on the way.
    for rate, group in itertools.groupby(frames, key=lambda frame: frame.sample_rate):
        low, high = SAMPLE_RATES_HZ
        if not low <= rate <= high:
            raise AudioError(f"a sample rate of {rate} Hz (from {low} to {high} can be used)")
        resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        for block in _blocks(map(_mono, group)):
            yield resampler.resample_chunk(block)
        yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples in fewer, longer pieces."""
    kept, num_samples = [], 0
    for piece in pieces:
        kept.append(piece)
        num_samples += len(piece)
        if num_samples >= BLOCK_SAMPLES:
            yield np.concatenate(kept)
            kept, num_samples = [], 0
    if kept:
        yield np.concatenate(kept)


def _mono(frame: av.AudioFrame) -> np.ndarray:
    """Mean of the frame's channels, float32 (time,), full scale ±1."""
    channels = frame.layout.nb_channels
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{channels} channels (up to {MAX_CHANNELS} can be used)")
    kind = frame.format.name.removesuffix("p")
    if kind not in _SCALES:
        raise AudioError(f"samples of type {frame.format.name} cannot be used")
    samples = frame.to_ndarray()
    samples = samples if frame.format.is_planar else samples.reshape(-1, channels).T
    mono = samples.mean(axis=0, dtype=np.float32 if samples.itemsize < 4 else np.float64)
    return _checked(((mono - 128 if kind == "u8" else mono) * _SCALES[kind]).astype(np.float32))


def _checked(mono: np.ndarray) -> np.ndarray:
    if not np.isfinite(mono).all():
        raise AudioError("it holds samples that are not finite numbers")
    if mono.size and np.abs(mono).max() > MAX_LEVEL:
        raise AudioError("damaged, or its samples are not in the range from -1 to 1")
    return mono


def _to_int16(block: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(block * 32768), -32768, 32767).astype(np.int16)


def check_is_sound(num_samples: int, lowest: int, highest: int, sample_rate: int) -> None:
    """Refuses what is too short or silent; the values are those of int16 samples.

    Raises:
        AudioError: it is.
    """
    seconds = num_samples / sample_rate
    if seconds < MIN_SECONDS:
        shown = math.floor(10 * seconds) / 10  # 2.98 s must not read as 3.0 s
        raise AudioError(f"{shown} s long (at least {MIN_SECONDS:g} s are needed)")
    # Half the range and not the highest value, so that a constant offset counts as silence.
    if (highest - lowest) / 2 / 32768 < 10 ** (SILENCE_DBFS / 20):
        raise AudioError(f"silent (its peak is below {SILENCE_DBFS:g} dBFS)")


def _tags(path: Path, metadata: dict[str, str]) -> Tags:
    found = {key.casefold(): " ".join(value.split()) for key, value in metadata.items()}
    artist = _several_artists(path) or found.get("artist") or found.get("album_artist")
    rest = (found.get(name) or None for name in ("album", "title", "album_artist"))
    return Tags(artist or None, *rest)


def _several_artists(path: Path) -> str:
    """All artists of ID3 and MP4 tags with several, of which FFmpeg gives the first; or ""."""
    try:
        tags = getattr(mutagen.File(path), "tags", None)
        values = tags and (tags.get("TPE1") or tags.get("\xa9ART"))
        names = [str(name).strip() for name in values or ()]
    except DAMAGED_TAGS:  # then what FFmpeg makes of them
        return ""
    return ";".join(filter(None, names)) if len(names) > 1 else ""
