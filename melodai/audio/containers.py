"""Opens audio files of every kind, and only those.

PyAV carries FFmpeg in its wheel, so every format works on every machine. Files come from anywhere:
only demuxers of real audio files are admitted and only local files are opened, so that a playlist
or a concat script that calls itself `.mp3` cannot make the program read other files or the network.
"""

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av

from melodai.audio.damage import Packets
from melodai.audio.ogg import links
from melodai.errors import AudioError

# What is searched for in folders is what can be decoded: FFmpeg's demuxers and their suffixes.
FORMATS = {
    "mp3": (".mp3", ".mp2"), "flac": (".flac",), "ogg": (".ogg", ".oga", ".opus"),
    "wav": (".wav",), "w64": (".w64",), "aiff": (".aif", ".aiff", ".aifc"),
    "mov": (".m4a", ".m4b", ".mp4"), "aac": (".aac",), "matroska": (".mka", ".webm"),
    "caf": (".caf",), "au": (".au", ".snd"), "wv": (".wv",), "ape": (".ape",), "tta": (".tta",),
    "mpc": (".mpc",), "mpc8": (".mpc",), "asf": (".wma",),
}  # fmt: skip
AUDIO_SUFFIXES = {suffix for suffixes in FORMATS.values() for suffix in suffixes}

MOST_FAILURES = 1000  # of finding a packet: FFmpeg looks 64 kB ahead each time
_PROTECTED = {"drms", "enca", "aavd"}  # iTunes, Common Encryption, Audible
_ASF_HEAD_BYTES = 1 << 16
_ASF_ENCRYPTION = (  # GUIDs of the content encryption objects
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_NO_FILES = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def check_is_file(path: Path) -> None:
    """Checks that there is something to read, without opening what would wait for a writer.

    Raises:
        AudioError: there is not.
        OSError: it may not be read.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        words = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise AudioError(words) from error
    for is_kind, words in _NO_FILES:
        if is_kind(status.st_mode):
            raise AudioError(f"{words}, not a file")
    if not status.st_size:
        raise AudioError("the file is empty")
    path.open("rb").close()  # whoever may not read it is told so, and not that it is bad


def open_container(path: Path) -> av.container.InputContainer:
    """Opens a local file with a demuxer of audio files, whatever its name says.

    Raises:
        AudioError: it is none of them, or protected against copying.
    """
    # The prefix keeps a name such as "concat:a.mp3" from being read as a protocol.
    container = _opened(f"file:{path.absolute()}")
    if _is_protected(path, container):
        container.close()
        raise AudioError("protected against copying (DRM): only the shop's player can decode it")
    return container


def _is_protected(path: Path, container: av.container.InputContainer) -> bool:
    if container.format.name == "asf":
        with path.open("rb") as file:
            head = file.read(_ASF_HEAD_BYTES)
        return any(mark in head for mark in _ASF_ENCRYPTION)
    streams = (stream.codec_context for stream in container.streams.audio)
    return any(stream and stream.codec_tag in _PROTECTED for stream in streams)


def _opened(file: str | BinaryIO) -> av.container.InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        return av.open(file, options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise AudioError("not an audio file, or its header is damaged") from error


def containers(path: Path) -> Iterator[av.container.InputContainer | None]:
    """The file; or the songs of a chained Ogg file, each as a file of its own, None if damaged."""
    container = open_container(path)
    spans = links(path).spans if container.format.name == "ogg" else ()
    if len(spans) < 2:
        yield container
        return
    container.close()
    with path.open("rb") as file:
        for start, end in spans:
            file.seek(start)
            try:
                yield _opened(io.BytesIO(file.read(end - start)))
            except AudioError:
                yield None


def sound_of(container: av.container.InputContainer) -> av.AudioStream:
    """The stream that is listened to.

    Raises:
        AudioError: there is none that can be decoded.
    """
    stream = next(iter(container.streams.audio), None)
    if stream is None or stream.codec_context is None:
        raise AudioError("there is no audio in it that can be decoded")
    stream.codec_context.thread_count = 1  # the files are decoded in parallel already
    if stream.codec_context.name == "flac":  # else it passes damaged frames on as noise
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream


def decoder_of(path: Path, stream: av.AudioStream) -> av.AudioCodecContext:
    """The stream's decoder; of a RIFX file, whose bytes FFmpeg takes for a RIFF file's, another."""
    own = stream.codec_context
    with path.open("rb") as file:
        if file.read(4) != b"RIFX" or own.name in ("pcm_u8", "pcm_alaw", "pcm_mulaw"):
            return own
    if not (own.name.startswith("pcm_") and own.name.endswith("le")):
        raise AudioError(f"a big-endian WAV file of {own.name} cannot be used")
    decoder = av.CodecContext.create(own.name.removesuffix("le") + "be", "r")
    decoder.sample_rate, decoder.layout = own.sample_rate, own.layout
    return decoder


def frames_of(
    container: av.container.InputContainer, decoder: av.AudioCodecContext, packets: Packets
) -> Iterator[av.AudioFrame]:
    """Frames that can be decoded; counts the packets and those left out."""
    source, num_failures = container.demux(container.streams.audio[0]), 0
    while num_failures < MOST_FAILURES:
        try:
            packet = next(source, None)
        except av.FFmpegError:  # nothing but garbage for some way: there may be more behind it
            num_failures += 1
            source = container.demux(container.streams.audio[0])
            continue
        if packet is None:
            return
        try:
            frames = decoder.decode(packet if packet.size else None)
        except av.FFmpegError:
            frames = None
        packets.add(packet, frames)
        yield from frames or ()
