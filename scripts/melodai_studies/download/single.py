"""One URL into one file, whole, by the same rules as a list of them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from melodai.data.store import content_key
from melodai.errors import AudioError, DownloadError, MelodaiError, SettingError
from melodai_studies.download.address import parse_address
from melodai_studies.download.connection import refuse_proxies
from melodai_studies.download.hosts import Hosts
from melodai_studies.download.names import song_stem
from melodai_studies.download.obtain import obtain
from melodai_studies.download.rules import Rules
from melodai_studies.download.transfer import Transfer
from melodai_studies.download.trim import trim_in_child
from melodai_studies.download.wanted import checked_sha256


@dataclass(frozen=True)
class Fetched:
    """A file from the web.

    Attributes:
        is_new: False if it was there already.
    """

    path: Path
    sha256: str
    is_new: bool = True


def fetch_one(
    url: str,
    out: Path,
    rules: Rules,
    *,
    sha256: str = "",
    should_stop: Callable[[], bool] = lambda: False,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Fetched:
    """Fetches a file and checks that it is audio.

    Interrupted, it leaves `<out>.part`, with which the same call goes on.

    Args:
        out: a file that is not there yet, or a folder, in which the URL names the file.
        sha256: which it must have; the file is not fetched if it lies there already.

    Raises:
        DownloadError: it cannot be had, or is not audio.
        SettingError: there is another file at its place, or the environment names a proxy.
        MelodaiError: the folder cannot be written.
    """
    sha256 = checked_sha256(sha256)
    address = parse_address(url, rules)
    refuse_proxies([address.host], rules)
    base = out / song_stem("", "", address.url) if out.is_dir() else out
    part = base.with_name(base.name + ".part")
    if out.is_file():
        if sha256 and content_key(out) == sha256:
            return Fetched(out, sha256, is_new=False)
        raise SettingError(f"{out} is there already; remove it or choose another name")
    transfer = Transfer(
        address.url,
        part,
        rules=rules,
        hosts=Hosts(rules.delay_seconds),
        should_stop=should_stop,
        on_bytes=on_bytes,
    )
    work = base.with_name(f".{base.name}.page")
    check = base.with_name(f".{base.name}.check")
    checked = None
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        source, found = obtain(transfer, address.url, sha256, work, rules, should_stop)
        checked = trim_in_child(source, check, None).path
        path = base.with_name(base.name + checked.suffix) if out.is_dir() else out
        if path.exists():
            raise SettingError(f"{path} is there already; remove it or choose another name")
        source.replace(path)
        transfer.part.discard()
    except AudioError as error:
        transfer.part.discard()
        raise DownloadError(f"not usable as audio: {error}") from error
    except OSError as error:
        raise MelodaiError(f"cannot write {base}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if checked is not None:
            checked.unlink(missing_ok=True)
    return Fetched(path, found)
