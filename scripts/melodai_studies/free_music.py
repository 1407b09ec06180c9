"""Freely licensed music from Debian's packages, for pretraining that anyone can repeat.

A package is fetched by `apt-get download`, which needs no rights, and read without being installed.
"""

import contextlib
import csv
import fnmatch
import hashlib
import io
import logging
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from email import message_from_string
from email.message import Message
from pathlib import Path, PurePosixPath

import av

from melodai.errors import DataError, DependencyError
from melodai.files import replace_text

logger = logging.getLogger(__name__)

# Games whose music is of songs' length; GPL, CC BY, CC BY-SA, CC0 by their copyright files.
PACKAGES = """
    drascula-music warzone2100-music ufoai-music planetblupi-music-ogg wesnoth-1.16-music naev-data
    supertux-data widelands-data hedgewars-data nexuiz-music supertuxkart-data
    colobot-common-sounds singularity-music megaglest-data marsshooter-data freedroidrpg-data
    unknown-horizons flare-game trackballs-data pushover-data starfighter-data warmux-data
    openclonk-data fillets-ng-data hyperrogue-music ardentryst btanks-data freecol zaz-data
    asc-music frozen-bubble-data xmoto-data
""".split()  # noqa: SIM905, one a line would be a page

MANIFEST = "manifest.csv"
SUFFIXES = (".ogg", ".opus", ".mp3", ".flac")
ARCHIVES = (".pk3", ".zip")
SHORTEST_SECONDS = 25.0  # shorter ones are jingles and effects
UNSAID = "see the package's copyright file"


@dataclass(frozen=True)
class Piece:
    """A row of the manifest.

    Attributes:
        file: relative to the folder.
        seconds: its length.
        licence: what the package's copyright file names for it, where that can be read by machine.
    """

    package: str
    version: str
    file: str
    seconds: float
    licence: str
    sha256: str


def fetch(folder: Path, packages: list[str], shortest: float = SHORTEST_SECONDS) -> list[Piece]:
    """Fetches the music of the packages; those that the manifest names are left alone.

    Args:
        shortest: in seconds; shorter pieces are left out.

    Returns:
        All rows of the manifest.

    Raises:
        DependencyError: this is not a Debian or Ubuntu.
        DataError: none of the packages could be fetched.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DependencyError(f"{program} is needed: Debian or Ubuntu, in a container say")
    folder.mkdir(parents=True, exist_ok=True)
    pieces = read_manifest(folder / MANIFEST)
    known = {piece.sha256 for piece in pieces}
    done = {piece.package for piece in pieces}
    failed = []
    for package in packages:
        if package in done:
            continue
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as place:
            debian = _download(package, Path(place))
            if debian is None:
                failed.append(package)
                continue
            found = [piece for piece in _unpack(debian, package, folder, shortest, known)]
        pieces += found
        write_manifest(folder / MANIFEST, pieces)
        minutes = sum(piece.seconds for piece in found) / 60
        logger.info("%s: %d pieces, %.0f minutes", package, len(found), minutes)
    if failed:
        logger.warning("not available here: %s", ", ".join(failed))
    if not pieces:
        raise DataError("none of the packages could be fetched; run `apt-get update` first")
    return pieces


def read_manifest(path: Path) -> list[Piece]:
    """The rows, none where there is no manifest yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [Piece(**{**row, "seconds": float(row["seconds"])}) for row in rows]


def write_manifest(path: Path, pieces: list[Piece]) -> None:
    """Writes all rows anew, in one step."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Piece)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(piece) for piece in pieces)
    replace_text(path, text.getvalue())


def _download(package: str, place: Path) -> Path | None:
    result = subprocess.run(["apt-get", "download", "-q", package], cwd=place, capture_output=True)
    debian = next(place.glob("*.deb"), None)
    if result.returncode or debian is None:
        logger.debug("%s: %s", package, result.stderr.decode(errors="replace").strip())
        return None
    return debian


def _unpack(
    debian: Path, package: str, folder: Path, shortest: float, known: set[str]
) -> Iterator[Piece]:
    """Writes the music of one package below `folder/package`."""
    copyright_file, sounds = "", {}
    for name, content in _members(debian):
        if name.endswith("/copyright"):
            copyright_file = content.decode(errors="replace")
        else:
            sounds[name] = content
    version = debian.name.split("_")[1].replace("%3a", ":")
    for name, content in sounds.items():
        digest = hashlib.sha256(content).hexdigest()
        seconds = _seconds(content)
        if digest in known or seconds < shortest:
            continue
        known.add(digest)
        path = folder / package / "-".join(PurePosixPath(name).parts[-3:])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        yield Piece(
            package, version, path.relative_to(folder).as_posix(), round(seconds, 1),
            licence_of(name, copyright_file), digest,
        )  # fmt: skip


def _members(debian: Path) -> Iterator[tuple[str, bytes]]:
    """Sounds, also those in archives of a game, and the copyright file: name and content."""
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(debian)], stdout=subprocess.PIPE
        ) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            suffix = PurePosixPath(member.name).suffix.casefold()
            wanted = suffix in (*SUFFIXES, *ARCHIVES) or member.name.endswith("/copyright")
            if not (member.isfile() and wanted):
                continue
            content = archive.extractfile(member).read()
            if suffix not in ARCHIVES:
                yield member.name, content
                continue
            with (
                contextlib.suppress(zipfile.BadZipFile),
                zipfile.ZipFile(io.BytesIO(content)) as inside,
            ):
                for name in inside.namelist():
                    if name.casefold().endswith(SUFFIXES):
                        yield f"{member.name}/{name}", inside.read(name)


def _seconds(content: bytes) -> float:
    """Length by the container; 0 for what is no sound."""
    try:
        with av.open(io.BytesIO(content), metadata_errors="ignore") as container:
            return float(container.duration or 0) / av.time_base
    except av.error.FFmpegError:
        return 0.0


def licence_of(name: str, copyright_file: str) -> str:
    """The licence of a file by a machine-readable copyright file: the last pattern that fits.

    Source: Debian, "Machine-readable debian/copyright file", version 1.0.
    """
    if "Format:" not in copyright_file[:500]:
        return UNSAID
    found = ""
    for paragraph in copyright_file.split("\n\n"):
        stanza: Message = message_from_string(paragraph.strip() + "\n")
        for pattern in (stanza["Files"] or "").split():
            if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name, f"*/{pattern}"):
                found = (stanza["License"] or "").strip().splitlines()[0].strip() or found
    return found or UNSAID
