"""The file of a URL, whether it lies there or on a page."""

from collections.abc import Callable
from pathlib import Path

from melodai.data.store import content_key
from melodai.errors import DownloadError
from melodai_studies.download.page import fetch_from_page
from melodai_studies.download.rules import Rules
from melodai_studies.download.transfer import PageError, Transfer


def obtain(
    transfer: Transfer,
    url: str,
    sha256: str,
    folder: Path,
    rules: Rules,
    should_stop: Callable[[], bool],
) -> tuple[Path, str]:
    """The file of a URL, or of the page that it is, and its SHA-256.

    Args:
        sha256: what it must be; empty if that is not known.
        folder: for what comes from a page.

    Raises:
        DownloadError: it cannot be had, or is another file.
    """
    try:
        found = transfer.run()
        source = transfer.part.path
    except PageError:
        transfer.part.discard()
        source = fetch_from_page(url, folder, rules=rules, should_stop=should_stop)
        found = content_key(source)
    if sha256 and found != sha256:
        transfer.part.discard()
        raise DownloadError(f"another file than expected (SHA-256 {found[:16]}…)")
    return source, found
