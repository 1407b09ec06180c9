"""Which songs are meant: files, folders and playlists become one list without duplicates."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from melodai.data.tracks import is_audio_name, is_searched
from melodai.errors import DataError
from melodai.predict.song_lists import Skipped, is_playlist_name, read_playlist


@dataclass(frozen=True)
class Songs:
    """What was found.

    Attributes:
        paths: the files to listen to, each once, in the order found.
        skipped: entries of playlists and folders that cannot be listened to.
        num_ignored: files in the folders whose names are not those of audio files.
        num_duplicates: how often a file was named again.
    """

    paths: tuple[Path, ...]
    skipped: tuple[Skipped, ...]
    num_ignored: int
    num_duplicates: int


def find_songs(places: Iterable[Path]) -> Songs:
    """The songs of files (whatever their names), folders with all below them, and playlists.

    Folders are gone through in the order of the names, hidden files and folders and the recycle
    bins of NAS systems left out; links are followed, each folder once. A file that is named twice,
    also by a link, is taken once.

    Raises:
        DataError: one of the places is not there, or there is not a single song in all of them.
    """
    places = list(places)
    search = _Search()
    for place in places:
        if place.is_dir():
            search.folder(place)
        elif not os.path.lexists(place):
            raise DataError(f"there is no {place}; give files, folders or playlists of music")
        elif is_playlist_name(place):
            files, skipped = read_playlist(place)
            search.skipped += skipped
            search.add(files)
        else:
            search.add([place])
    found = Songs(
        tuple(search.paths.values()), tuple(search.skipped), search.num_ignored,
        search.num_duplicates,
    )  # fmt: skip
    if not found.paths:
        raise DataError(_nothing(places, found))
    return found


def _nothing(places: list[Path], found: Songs) -> str:
    where = ", ".join(map(str, places[:3])) + (" …" if len(places) > 3 else "")
    reasons = [f"files there that are not audio: {found.num_ignored}"] if found.num_ignored else []
    reasons += [f"{skipped.what}: {skipped.reason}" for skipped in found.skipped[:3]]
    return f"no songs found in {where}" + (f" ({'; '.join(reasons)})" if reasons else "")


class _Search:
    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}  # by the file's one true path
        self.skipped: list[Skipped] = []
        self.num_ignored = self.num_duplicates = 0
        self._folders: set[str] = set()

    def add(self, files: Iterable[Path]) -> None:
        for path in files:
            if self.paths.setdefault(os.path.realpath(path), path) is not path:
                self.num_duplicates += 1

    def folder(self, root: Path) -> None:
        self.add(self._audio_below(root))

    def _audio_below(self, root: Path) -> Iterator[Path]:
        for folder, names, files in os.walk(root, onerror=self._unreadable, followlinks=True):
            true_path = os.path.realpath(folder)
            if true_path in self._folders:  # a link back into what was seen already
                names.clear()
                continue
            self._folders.add(true_path)
            names[:] = sorted(filter(is_searched, names))
            for name in sorted(files):
                path = Path(folder, name)
                if is_audio_name(path):
                    yield path
                else:
                    self.num_ignored += not name.startswith(".")

    def _unreadable(self, error: OSError) -> None:
        self.skipped.append(Skipped(str(error.filename), f"cannot be read: {error.strerror}"))
