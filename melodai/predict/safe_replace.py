"""A changed copy takes the place of an audio file, if the sound in it is the same."""

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av

from melodai.audio import open_container
from melodai.errors import AudioError
from melodai.predict.mood_tag import TagError

PREFIX = ".melodai-tags-"
ABANDONED_SECONDS = 3600.0


def sound_digest(path: Path) -> str:
    """SHA-256 over all packets with their times: equal if and only if it decodes to the same.

    Raises:
        TagError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_container(path) as container:
            for stream in container.streams:
                context = stream.codec_context
                name = context.name if context is not None else None
                digest.update(repr((stream.type, name, stream.time_base)).encode())
            for packet in container.demux():
                where = (packet.stream_index, packet.pts, packet.dts, packet.duration, packet.size)
                digest.update(repr(where).encode())
                digest.update(packet)
    except (AudioError, av.FFmpegError) as error:
        raise TagError("its sound cannot be read") from error
    return digest.hexdigest()


def check_can_be_replaced(path: Path) -> None:
    """Raises a TagError with the reason if the file must be left alone; `path` is no link."""
    try:
        status = path.stat()
    except OSError as error:
        raise TagError("no such file") from error
    if not stat.S_ISREG(status.st_mode):
        raise TagError("not a file")
    if not status.st_size:
        raise TagError("the file is empty")
    if not (status.st_mode & 0o222 and os.access(path, os.W_OK)):
        raise TagError("the file is read-only")
    if not os.access(path.parent, os.W_OK):
        raise TagError("its folder is read-only")
    if status.st_nlink > 1:
        raise TagError("the file has a second name (hard link), which would keep the old content")
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid() != 0:
        raise TagError("the file belongs to another user, whose it would cease to be")


@contextlib.contextmanager
def copy_beside(path: Path) -> Iterator[Path]:
    """A copy in the same folder with the mode, owner and attributes of the file; gone at the end.

    Raises:
        OSError: the folder is read-only or full.
    """
    # The ending stays, for formats are told by it, too; a hidden name is no song for anybody.
    descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=path.suffix[-16:], dir=path.parent)
    os.close(descriptor)
    copy = Path(name)
    try:
        shutil.copy2(path, copy)
        if sys.platform != "win32":
            status = path.stat()
            os.chown(copy, status.st_uid, status.st_gid)
            os.chmod(copy, stat.S_IMODE(status.st_mode))  # a change of owner takes bits away
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def put_in_place(copy: Path, path: Path) -> None:
    """The copy, all of it on the disk, becomes the file in one step."""
    with copy.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(copy, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in a folder are on the disk after this, where the system can promise it."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Removes copies that a killed process left."""
    for path in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_ctime > ABANDONED_SECONDS:
                path.unlink()
