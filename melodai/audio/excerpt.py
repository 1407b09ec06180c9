"""A few pieces of a file, without decoding the rest of it.

All packets are looked at first: what they last is the length of the song, whatever its header says,
and where they lie is the index by which the pieces are then found. Where anything is odd (no times,
a gap, damage, silence, several songs in one file) there is no excerpt, and the whole is to be
decoded.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from melodai.audio.containers import check_is_file, containers, decoder_of, sound_of
from melodai.audio.damage import Packets, has_lost_its_end, lost_seconds
from melodai.audio.hearing import LEAST_LOST
from melodai.audio.level import Meter
from melodai.audio.reader import Decoded, planned, resampled
from melodai.audio.tags import tags_of
from melodai.errors import AudioError

# Before a piece, for decoders that need what came before: ten frames of MP3.
LEAD_SECONDS = 0.3
MARGIN_SECONDS = 0.05  # on either side, for the resampler
GAP_SECONDS = 0.1
JUMP_SECONDS = 0.02  # FFmpeg guesses when the short packets of Vorbis begin

Pieces = Callable[[int], list[tuple[int, int]]]
"""From the number of a song's samples to (start, length) of the pieces."""


def decode_excerpt(
    path: str | os.PathLike[str], sample_rate: int, pieces: Pieces
) -> Decoded | None:
    """The pieces joined end to end; None where the whole is to be decoded.

    Raises:
        AudioError: the file is missing, empty or not audio.
        OSError: it may not be read.
    """
    path = Path(path)
    check_is_file(path)
    container, *others = containers(path)
    if others or container is None:
        return None
    with container:
        try:
            return _decoded(path, container, sample_rate, pieces)
        except (av.FFmpegError, _OddError):
            return None


class _OddError(Exception):
    """Something by which an excerpt could be wrong."""


def _decoded(
    path: Path, container: av.container.InputContainer, sample_rate: int, pieces: Pieces
) -> Decoded | None:
    stream = sound_of(container)
    start, end = _extent(path, container, stream)
    wanted = pieces(round((end - start) * sample_rate))
    if len(wanted) < 2:
        return None
    meter, remarks, parts = Meter(sample_rate), {}, []
    decoder = decoder_of(path, stream)
    for first, length in wanted:
        begin = start + first / sample_rate
        frames = list(_frames(container, stream, decoder, begin, begin + length / sample_rate))
        sound = np.concatenate([*resampled(frames, sample_rate, remarks.setdefault)])
        offset = round((begin - frames[0].time) * sample_rate)
        parts.append(sound[offset : offset + length])
        if len(parts[-1]) < length:
            return None
    blocks = list(meter.watch(parts))
    try:
        plan, hearing = planned(meter, 0.0, tuple(remarks))
    except AudioError:  # silent there, perhaps not elsewhere
        return None
    if plan.silences:
        return None
    waveform = np.concatenate([*plan.apply(blocks)])
    return Decoded(waveform, sample_rate, tags_of(path, container, stream), hearing)


def _extent(
    path: Path, container: av.container.InputContainer, stream: av.AudioStream
) -> tuple[float, float]:
    """When the first packet begins and the last one ends, in seconds, one following the other."""
    packets, first, end, unit = Packets(), None, None, float(stream.time_base)
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None or not packet.duration:
            raise _OddError
        first = packet.pts if first is None else first
        if end is not None and abs(packet.pts - end) * unit > GAP_SECONDS:
            raise _OddError
        end = packet.pts + packet.duration
        packets.add(packet, [])
    if end is None or has_lost_its_end(path, container):
        raise _OddError
    packets.seconds = (end - first) * unit
    if lost_seconds(path, container, packets) >= LEAST_LOST:
        raise _OddError
    # Silence that the encoder put before the song has packets, but is not decoded.
    return max(first, stream.start_time or first) * unit, end * unit


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream,
    decoder: av.AudioCodecContext, begin: float, end: float,
) -> Iterator[av.AudioFrame]:  # fmt: skip
    """Frames from shortly before `begin` to shortly after `end`, one following the other."""
    container.seek(round((begin - LEAD_SECONDS) / stream.time_base), stream=stream)
    decoded = itertools.chain.from_iterable(map(decoder.decode, container.demux(stream)))
    expected = None
    for frame in itertools.dropwhile(lambda frame: frame.pts is None, decoded):
        if frame.pts is None or (expected and abs(frame.time - expected) > JUMP_SECONDS):
            raise _OddError
        if expected is None and frame.time > begin:
            raise _OddError
        expected = frame.time + frame.samples / frame.sample_rate
        if expected >= begin - MARGIN_SECONDS:
            yield frame
        if expected >= end + MARGIN_SECONDS:
            return
