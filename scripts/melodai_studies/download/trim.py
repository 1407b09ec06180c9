"""Keeps the first seconds of a song without a loss.

Compressed packets are copied as they are, into the same kind of file. What cannot be copied, and
FLAC, is decoded and becomes FLAC, so that nothing is lost a second time.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av

from melodai.audio import Tags, decode, open_container
from melodai.data.decoder_worker import Heartbeat, serve
from melodai.data.decoders import run_jobs
from melodai.errors import AudioError

# What came from the web is opened by this file as a program of its own, and nowhere else: a file
# made to crash or to hang a decoder ends that process and not this one (see `run_jobs`).
WORKER = (sys.executable, "-P", str(Path(__file__)))
_CHECK_RATE = 22_050
_TOLERANCE_SECONDS = 2.0  # a packet of some formats is that long
_MUXERS = {  # by demuxer: muxer and suffix of the same kind of file
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
_DEEP_FORMATS = {"s32", "s32p", "s64", "s64p", "dbl", "dblp"}


class Trimmed(NamedTuple):
    """A song that was cut.

    Attributes:
        tags: of the file itself.
    """

    path: Path
    tags: Tags


def trim(
    source: Path, target: Path, seconds: float, on_progress: Callable[[], None] = lambda: None
) -> Trimmed:
    """Writes the beginning of a song and decodes it again, as the proof that it is audio.

    Args:
        target: without its suffix, which is that of the format, whatever the source is called.

    Raises:
        AudioError: it is no audio file, cannot be decoded, is silent or shorter than 3 s.
    """
    decode(source, _CHECK_RATE, on_progress=on_progress)
    with open_container(source) as container:
        codec = container.streams.audio[0].codec_context.name
        muxer, suffix = _MUXERS.get(container.format.name, ("", ""))
    suffix = ".opus" if (muxer, codec) == ("ogg", "opus") else suffix
    copied = [(_copy, muxer, suffix)] if muxer and codec != "flac" else []
    reason = "its timestamps are wrong"
    for write, form, ending in (*copied, (_encode, "flac", ".flac")):
        path = target.with_name(target.name + ending)
        try:
            options = {"write_id3v2": "1"} if form == "aiff" else {}
            with (
                open_container(source) as container,
                av.open(f"file:{path.absolute()}", "w", format=form, options=options) as output,
            ):
                write(container, output, seconds)
            sound = decode(path, _CHECK_RATE, on_progress=on_progress)
            if sound.hearing.whole_seconds <= seconds + _TOLERANCE_SECONDS:
                return Trimmed(path, sound.tags)
        except (av.FFmpegError, ValueError, NotImplementedError, AudioError) as error:
            reason = str(error)
        path.unlink(missing_ok=True)
    raise AudioError(f"it cannot be cut: {reason}")


def _copy(container: Any, output: Any, seconds: float) -> None:
    stream = container.streams.audio[0]
    copy = output.add_stream_from_template(stream)
    _copy_tags(stream, container, output, copy)
    for packet in _packets(container, seconds):
        if packet.size:
            packet.stream = copy
            output.mux(packet)


def _encode(container: Any, output: Any, seconds: float) -> None:
    """FLAC with 16 bits a sample, or 24 where the source has more; damaged packets left out."""
    stream = container.streams.audio[0]
    if stream.codec_context.name == "flac":  # else damaged frames are passed on as noise
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    copy = resampler = None
    for packet in _packets(container, seconds):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if copy is None:
                copy = output.add_stream("flac", rate=frame.sample_rate, layout=frame.layout.name)
                form = "s32" if frame.format.name in _DEEP_FORMATS else "s16"
                copy.codec_context.format = form
                _copy_tags(stream, container, output, copy)
                resampler = av.AudioResampler(form, frame.layout, frame.sample_rate)
            frame.pts = None
            for piece in resampler.resample(frame):
                output.mux(copy.encode(piece))
    output.mux(copy.encode(None))


def _packets(container: Any, seconds: float) -> Iterator[av.Packet]:
    """Packets that begin within the first seconds."""
    elapsed, first = 0.0, None
    source = container.demux(container.streams.audio[0])
    while elapsed < seconds:
        try:
            packet = next(source, None)
        except av.FFmpegError:  # cut off in the middle of a packet
            return
        if packet is None:
            return
        yield packet
        # Durations are believed before timestamps, which start again in files that were joined.
        if packet.duration:
            elapsed += float(packet.duration * packet.time_base)
        elif packet.pts is not None:
            first = packet.pts if first is None else first
            elapsed = max(elapsed, float((packet.pts - first) * packet.time_base))


def _copy_tags(stream: Any, container: Any, output: Any, copy: Any) -> None:
    tags = {
        name.casefold(): value for name, value in (stream.metadata | container.metadata).items()
    }
    kept = {
        name: tags[name] for name in ("artist", "album_artist", "album", "title") if name in tags
    }
    output.metadata.update(kept)
    if output.format.name == "ogg":
        copy.metadata.update(kept)  # where Ogg keeps them


def trim_in_child(source: Path, target: Path, seconds: float) -> Trimmed:
    """`trim` in a process of its own.

    Raises:
        AudioError: as `trim`; or the file crashed or hung the process, twice.
    """
    job = {"source": str(source.absolute()), "target": str(target.absolute()), "seconds": seconds}
    [(_, answer)] = run_jobs([job], num_decoders=1, command=WORKER)
    if "failure" in answer:
        raise AudioError(answer["failure"])
    return Trimmed(Path(answer["path"]), Tags(**answer["tags"]))


def process(job: dict, heartbeat: Heartbeat) -> dict:
    """The values of a `Trimmed`, or `failure`, the reason why there is none."""
    try:
        done = trim(Path(job["source"]), Path(job["target"]), job["seconds"], heartbeat)
    except (AudioError, OSError, MemoryError) as error:
        return {"failure": str(error) or "it needs too much memory"}
    return {"path": str(done.path), "tags": done.tags._asdict()}


if __name__ == "__main__":
    serve(process)
