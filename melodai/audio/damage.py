"""How much of a song its file has lost: cut off, overwritten, or never downloaded."""

import struct
from dataclasses import dataclass
from pathlib import Path

import av

from melodai.audio.ogg import links

PLAIN = {"mp3", "aac"}  # nothing but frames: what is no frame is lost
TOLERANCE_SECONDS = 0.25  # containers count the silence that encoders add, or do not
_HEAD_BYTES = 4096
_PAGE_BYTES = 65_307  # the longest page of Ogg
_LARGEST_SIZE = 0x7FFF0000  # from there on a WAV says that it does not know its size


@dataclass
class Packets:
    """What came of a file's packets.

    Attributes:
        total, damaged: packets, and those that could not be decoded.
        damaged_seconds: how long those last that could not.
        good_bytes: of those that could.
        first, end: of the packets, in bytes from the start of the file.
        seconds: decoded.
    """

    total: int = 0
    damaged: int = 0
    damaged_seconds: float = 0.0
    good_bytes: int = 0
    first: int | None = None
    end: int = 0
    seconds: float = 0.0

    def add(self, packet: av.Packet, frames: list[av.AudioFrame] | None) -> None:
        """Counts a packet and what was decoded of it; None if that failed."""
        self.total += 1
        if packet.pos is not None and packet.size:
            self.first = packet.pos if self.first is None else self.first
            self.end = max(self.end, packet.pos + packet.size)
        if frames is None:
            self.damaged += 1
            if packet.duration and packet.time_base:
                self.damaged_seconds += float(packet.duration * packet.time_base)
        else:
            self.good_bytes += packet.size
            self.seconds += sum(frame.samples / frame.sample_rate for frame in frames)


def lost_seconds(path: Path, container: av.container.InputContainer, packets: Packets) -> float:
    """How much is missing of what the file says it holds, or of what its bytes could hold."""
    kind, missing = container.format.name, 0.0
    if kind in PLAIN:
        expected = _bytes_of_frames(path, packets.first or 0)
        share = (expected - packets.good_bytes) / max(1, packets.good_bytes)
        missing = share * packets.seconds
    elif kind == "wav":
        missing = _missing_of_wav(path)
    elif (said := _said_seconds(container)) is not None:
        missing = said - packets.seconds
    unread = container.size - packets.end
    if unread > _PAGE_BYTES and packets.end and has_lost_its_end(path, container):
        missing = max(missing, packets.seconds * unread / packets.end)
    return max(packets.damaged_seconds, missing if missing > TOLERANCE_SECONDS else 0.0)


def has_lost_its_end(path: Path, container: av.container.InputContainer) -> bool:
    """Whether an Ogg file has no last page; nothing in it says how long it was."""
    return container.format.name == "ogg" and not links(path).is_whole


def _said_seconds(container: av.container.InputContainer) -> float | None:
    stream = container.streams.audio[0]
    said = [float(stream.duration * stream.time_base)] if stream.duration else []
    # A film may be longer than its sound.
    if container.duration and len(container.streams.audio) == len(container.streams):
        said.append(container.duration / av.time_base)
    return min(said, default=None)


def _bytes_of_frames(path: Path, first: int) -> int:
    """Bytes that frames take from the first on, by their header or by the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, first - _HEAD_BYTES))
        head = file.read(min(first, _HEAD_BYTES))
        file.seek(max(0, size - 160))
        tail = file.read()
    mark = max(head.rfind(b"Xing"), head.rfind(b"Info"))
    if 0 <= mark <= len(head) - 16:  # LAME's header: its name, flags, frames, bytes
        flags, _, said = struct.unpack(">III", head[mark + 4 : mark + 16])
        if flags & 3 == 3:
            return said - (len(head) - mark)
    end = size
    if tail[-128:-125] == b"TAG":
        end, tail = end - 128, tail[:-128]
    if tail[-32:-24] == b"APETAGEX":
        length, _, flags = struct.unpack("<III", tail[-20:-8])
        end -= length + (32 if flags >> 31 else 0)
    return end - first


def _missing_of_wav(path: Path) -> float:
    """Seconds by which the sound is shorter than its chunk says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        order = {b"RIFF": "<", b"RIFX": ">"}.get(file.read(4))
        file.seek(12)
        rate = 0
        while order and len(header := file.read(8)) == 8:
            name, length = header[:4], struct.unpack(f"{order}I", header[4:])[0]
            start = file.tell()
            if name == b"fmt ":
                rate = struct.unpack(f"{order}I", file.read(12)[8:])[0]
            if name == b"data":
                missing = start + length - size if length < _LARGEST_SIZE else 0
                return missing / rate if rate else 0.0
            file.seek(start + length + length % 2)
    return 0.0
