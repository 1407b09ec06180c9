"""A file on its way: what was received, and beside it in JSON what the server said of it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from melodai.data.store import replacing


@dataclass(frozen=True, kw_only=True)
class Version:
    """What is known of the server's file.

    Attributes:
        etag, modified: by which the server tells one version of its file from another.
        total: bytes in all.
        is_complete: whether all of them have come.
    """

    etag: str | None = None
    modified: str | None = None
    total: int | None = None
    is_complete: bool = False

    @property
    def validator(self) -> str | None:
        """What If-Range may compare; weak tags do not promise equal bytes."""
        is_strong = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if is_strong else self.modified


class Part:
    """The `.part` file of a URL; one of another URL or of a forgotten version counts for nothing.

    Attributes:
        version: of what lies there.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path, self._url = path, url
        self._sidecar = path.with_name(path.name + ".json")
        self.version = self._read() or Version()

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def range_headers(self) -> dict[str, str]:
        """Asks for the rest, if it can be known that it belongs to what is there."""
        if not self.num_bytes or self.version.validator is None:
            return {}
        return {"Range": f"bytes={self.num_bytes}-", "If-Range": self.version.validator}

    def note(self, version: Version) -> None:
        """Keeps the version, for a later run too."""
        with replacing(self._sidecar) as file:
            file.write(json.dumps({"url": self._url, **asdict(version)}).encode())
        self.version = version

    def discard(self) -> None:
        """Forgets all that was received."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)
        self.version = Version()

    def _read(self) -> Version | None:
        try:
            values = json.loads(self._sidecar.read_text(encoding="utf-8"))
            url, version = values.pop("url"), Version(**values)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        total = version.total
        if url != self._url or (total is not None and self.num_bytes > total):
            return None
        if version.is_complete and self.num_bytes != total:
            return None
        return version
