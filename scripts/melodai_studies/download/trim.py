"""Keeps the first seconds of a song, without a loss where that is possible.

Compressed packets are copied as they are, into the same kind of file. FLAC and its like are decoded
and encoded again, which loses nothing. What can be neither copied nor is lossless becomes FLAC, so
that nothing is lost a second time either.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import av

from melodai.audio import Tags, decode, open_container
from melodai.data.decoder_worker import Heartbeat, serve
from melodai.data.decoders import run_jobs
from melodai.errors import AudioError

CHECK_RATE = 22_050
# What came from the web is opened by this file as a program of its own, and nowhere else: a file
# made to crash or to hang a decoder ends that process and not this one (see `run_jobs`).
WORKER = (sys.executable, "-P", str(Path(__file__)))
_TOLERANCE_SECONDS = 2.0  # a packet of some formats is that long

# Demuxer -> muxer and suffix of the same kind of file.
_MUXERS = {
    "mp3": ("mp3", ".mp3"),
    "ogg": ("ogg", ".ogg"),
    "wav": ("wav", ".wav"),
    "aiff": ("aiff", ".aiff"),
    "aac": ("adts", ".aac"),
    "mov,mp4,m4a,3gp,3g2,mj2": ("ipod", ".m4a"),
    "matroska,webm": ("matroska", ".mka"),
    "asf": ("asf", ".wma"),
    "caf": ("caf", ".caf"),
}
# These may hold films: a short one is not taken as it is.
_OF_FILMS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "asf"}
_KEPT = {"flac": ".flac", "ape": ".ape", "wv": ".wv", **{d: s for d, (_, s) in _MUXERS.items()}}
# True of the whole file, or of its encoder and container, but not of the piece.
_STALE_TAGS = {
    "encoder", "major_brand", "minor_version", "compatible_brands", "creation_time", "duration",
    "tlen", "itunsmpb", "bps", "number_of_frames", "number_of_bytes", "cuesheet", "cdtoc",
}  # fmt: skip
_DEEP_FORMATS = {"s32", "s32p", "s64", "s64p", "dbl", "dblp"}


class Trimmed(NamedTuple):
    """What became of a song.

    Attributes:
        how: "kept" byte for byte, "copied" packet for packet, "rewritten" from FLAC to FLAC without
            a loss, or "encoded" as FLAC from another format.
        seconds: how long it is now.
        tags: of the file itself.
    """

    path: Path
    how: str
    seconds: float
    tags: Tags


def trim(
    source: Path,
    target: Path,
    seconds: float | None,
    on_progress: Callable[[], None] = lambda: None,
) -> Trimmed:
    """Writes the beginning of a song and decodes it again, as the proof that it is audio.

    Args:
        target: without its suffix, which is that of the format (".mp3"), whatever the source is
            called.
        seconds: None for all of it.

    Raises:
        AudioError: it is no audio file, cannot be decoded, is silent or shorter than 3 s.
    """
    with open_container(source) as container:
        demuxer, num_streams = container.format.name, len(container.streams)
        stream = next(iter(container.streams.audio), None)
        if stream is None or stream.codec_context is None:
            raise AudioError("there is no audio in it that can be decoded")
        codec = stream.codec_context.name
    ways: list[tuple[str, str, Callable[[Path], bool]]] = []
    if demuxer in _KEPT and (demuxer not in _OF_FILMS or num_streams == 1):
        ways.append(("kept", _KEPT[demuxer], lambda path: _keep(source, path, seconds)))
    if demuxer in _MUXERS and codec != "flac":
        muxer, suffix = _MUXERS[demuxer]
        ways.append(("copied", suffix, lambda path: _copy(source, path, muxer, seconds)))
    how = "rewritten" if codec == "flac" else "encoded"
    ways.append((how, ".flac", lambda path: _encode(source, path, seconds, on_progress)))
    reason = AudioError("it cannot be cut")
    for how, suffix, write in ways:
        path = target.with_name(target.name + _suffix(suffix, codec))
        try:
            on_progress()
            if write(path):
                sound = decode(path, CHECK_RATE, on_progress=on_progress)
                length = len(sound.waveform) / CHECK_RATE
                if seconds is None or length <= seconds + _TOLERANCE_SECONDS:
                    return Trimmed(path, how, length, sound.tags)
                reason = AudioError("it cannot be cut: what it says of its time is wrong")
        except (av.FFmpegError, ValueError, NotImplementedError) as error:
            reason = AudioError(f"it cannot be cut: {error}")
        except AudioError as error:
            reason = error
        path.unlink(missing_ok=True)
    raise reason


def _suffix(suffix: str, codec: str) -> str:
    return ".opus" if suffix == ".ogg" and codec == "opus" else suffix


def _keep(source: Path, path: Path, seconds: float | None) -> bool:
    """The file as it is, if it is short enough already."""
    with open_container(source) as container:
        stream = container.streams.audio[0]
        if seconds is not None and any(p is None for p in _packets(container, stream, seconds)):
            return False
    shutil.copyfile(source, path)
    return True


def _copy(source: Path, path: Path, muxer: str, seconds: float | None) -> bool:
    """Copies the packets of the first seconds, and the tags."""
    options = {"write_id3v2": "1"} if muxer == "aiff" else {}
    with (
        open_container(source) as container,
        av.open(f"file:{path.absolute()}", "w", format=muxer, options=options) as output,
    ):
        stream = container.streams.audio[0]
        copy = output.add_stream_from_template(stream)
        _copy_tags(container, stream, output, copy)
        for packet in _packets(container, stream, seconds):
            if packet is not None:
                packet.stream = copy
                output.mux(packet)
    return True


def _encode(
    source: Path, path: Path, seconds: float | None, on_progress: Callable[[], None]
) -> bool:
    """Decodes the first seconds and encodes them as FLAC, 16 bits a sample, or 24 where needed."""
    with (
        open_container(source) as container,
        av.open(f"file:{path.absolute()}", "w", format="flac") as output,
    ):
        stream = container.streams.audio[0]
        context = stream.codec_context
        if context.name == "flac":  # else damaged frames are passed on as noise
            context.options = {"err_detect": "crccheck+explode"}
        is_deep = context.format is not None and context.format.name in _DEEP_FORMATS
        copy = resampler = kind = None
        for frame in _frames(container, stream, seconds):
            if copy is None:
                copy = output.add_stream("flac", rate=frame.sample_rate, layout=frame.layout.name)
                copy.codec_context.format = "s32" if is_deep else "s16"
                _copy_tags(container, stream, output, copy)
                resampler = av.AudioResampler(
                    copy.codec_context.format, frame.layout, frame.sample_rate
                )
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
                raise AudioError("it cannot be cut: its sample rate or channels change on the way")
            frame.pts = None
            for piece in resampler.resample(frame):
                output.mux(copy.encode(piece))
            on_progress()
        if copy is None:
            raise AudioError("nothing in it could be decoded")
        output.mux(copy.encode(None))
    return True


def _frames(container, stream, seconds: float | None) -> Iterator[av.AudioFrame]:
    """Decoded frames of the first seconds, without those that are damaged."""
    num_samples, total, damaged = 0, 0, 0
    for packet in _packets(container, stream, None):
        total += 1
        try:
            frames = packet.decode() if packet is not None else []
        except av.FFmpegError:
            damaged += 1
            continue
        for frame in frames:
            yield frame
            num_samples += frame.samples
            if seconds is not None and num_samples >= seconds * frame.sample_rate:
                return
    if damaged > 0.1 * total:
        raise AudioError(f"damaged: {damaged} of {total} packets cannot be decoded")


def _packets(container, stream, seconds: float | None) -> Iterator[av.Packet | None]:
    """Packets that begin within the first seconds; a last None if more would follow."""
    elapsed, first = 0.0, None
    source = container.demux(stream)
    while True:
        try:
            packet = next(source, None)
        except av.FFmpegError:  # cut off in the middle of a packet
            return
        if packet is None:
            return
        if packet.size == 0:  # the decoder is to be flushed; nothing to copy
            if seconds is None:
                yield packet
            return
        if seconds is not None and elapsed >= seconds:
            yield None
            return
        yield packet
        # Durations are believed before timestamps, which start again in files that were joined.
        if packet.duration:
            elapsed += float(packet.duration * packet.time_base)
        elif packet.pts is not None:
            first = packet.pts if first is None else first
            elapsed = max(elapsed, float((packet.pts - first) * packet.time_base))


def _copy_tags(container, stream, output, copy) -> None:
    tags = {**stream.metadata, **container.metadata}
    tags = {
        name: value
        for name, value in tags.items()
        if name.casefold() not in _STALE_TAGS and not name.casefold().startswith("_statistics")
    }
    output.metadata.update(tags)
    if output.format.name == "ogg":
        copy.metadata.update(tags)  # where Ogg keeps them


def trim_in_child(source: Path, target: Path, seconds: float | None) -> Trimmed:
    """`trim` in a process of its own.

    Raises:
        AudioError: as `trim`; or the file crashed or hung the process, twice.
    """
    job = {"source": str(source.absolute()), "target": str(target.absolute()), "seconds": seconds}
    [(_, answer)] = run_jobs([job], num_decoders=1, command=WORKER)
    if "failure" in answer:
        raise AudioError(answer["failure"])
    return Trimmed(Path(answer["path"]), answer["how"], answer["length"], Tags(**answer["tags"]))


def process(job: dict, heartbeat: Heartbeat) -> dict:
    """The values of a `Trimmed`, or `failure`, the reason why there is none."""
    try:
        done = trim(Path(job["source"]), Path(job["target"]), job["seconds"], heartbeat)
    except AudioError as error:
        return {"failure": str(error)}
    except OSError as error:
        return {"failure": f"cannot be cut: {error.strerror or error}"}
    except MemoryError:
        return {"failure": "it needs too much memory"}
    return {
        "path": str(done.path),
        "how": done.how,
        "length": done.seconds,
        "tags": done.tags._asdict(),
    }


if __name__ == "__main__":
    serve(process)
