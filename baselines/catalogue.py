"""One table of the pretrained backbones: what each is, and which files it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from baselines.base import Backbone
from baselines.weights import WeightFile, find
from melodai.errors import SettingError


class Builder(Protocol):
    """Makes a backbone with its published weights, in evaluation mode."""

    def __call__(
        self,
        weights_dir: Path | None = None,
        *,
        offline: bool = False,
        layers: Sequence[str] | None = None,
    ) -> Backbone: ...


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What `--list-archs -v` says of a backbone.

    Attributes:
        name: for `--arch`; a name that ends in ":" is a family, and its builder is also given
            `variant`, what stands behind the colon.
        num_parameters, sample_rate, embedding_size: None where they depend on the variant.
        front_end: from waveform to the network's input, in words.
        heard: what it was trained on, so that nobody is surprised to meet it in a test part.
        tags: its own output, in words; "" if it has none.
        files: what it needs from the weights folder; empty if another package brings it.
        files_on_request: what is fetched only when a user asks for it by name, for its licence.
        extra: pip requirement of a package that it needs, "" if none.
    """

    name: str
    licence: str
    source: str
    front_end: str
    heard: str
    num_parameters: int | None = None
    sample_rate: int | None = None
    embedding_size: int | None = None
    tags: str = ""
    files: tuple[WeightFile, ...] = ()
    files_on_request: tuple[WeightFile, ...] = ()
    extra: str = ""

    def summary(self) -> str:
        """A few words."""
        size = (
            f"{(self.num_parameters or 0) / 1e6:.1f} M parameters; " if self.num_parameters else ""
        )
        return f"{size}heard: {self.heard}"

    def details(self) -> str:
        """All of it in one line."""
        numbers = (
            (self.num_parameters, f"{(self.num_parameters or 0) / 1e6:.1f} M parameters"),
            (self.sample_rate, f"{self.sample_rate} Hz"),
            (self.embedding_size, f"embedding {self.embedding_size}"),
        )
        parts = [self.licence, *(text for number, text in numbers if number), self.front_end]
        parts += [self.tags] if self.tags else []
        parts += [f"heard: {self.heard}", self.source]
        parts += [f"needs: pip install {self.extra}"] if self.extra else []
        return "; ".join(parts)


@dataclass(frozen=True)
class Entry:
    """A row of the table and how to make what it describes.

    Attributes:
        skeleton: makes the network without weights, given `layers` (and `variant`, `frontend` of a
            family); None where its shape is only known from the published files.
    """

    about: Pretrained
    build: Builder
    skeleton: Callable[..., Backbone] | None = None


_entries: dict[str, Entry] = {}


def pretrained(
    about: Pretrained, skeleton: Callable[..., Backbone] | None = None
) -> Callable[[Builder], Builder]:
    """Decorator that enters a builder into the table.

    Args:
        skeleton: see `Entry`.

    Raises:
        ValueError: the name is taken.
    """

    def enter(build: Builder) -> Builder:
        if about.name in _entries:
            raise ValueError(f"the backbone {about.name!r} is in the table already")
        _entries[about.name] = Entry(about, build, skeleton)
        return build

    return enter


def entries() -> dict[str, Entry]:
    """All rows so far; `baselines.backbones()` imports every module first."""
    return _entries


def find_entry(name: str) -> tuple[Entry, dict[str, str]]:
    """The row of a name, and the `variant` for its builder if it is of a family.

    Raises:
        SettingError: there is none; the message lists the known ones.
    """
    if name in _entries and not name.endswith(":"):
        return _entries[name], {}
    family, colon, variant = name.partition(":")
    if colon and variant and family + ":" in _entries:
        return _entries[family + ":"], {"variant": variant}
    names = ", ".join(n + "<name>" if n.endswith(":") else n for n in sorted(_entries))
    raise SettingError(f"unknown backbone {name!r}; choose one of {names}")


def files_for(name: str) -> tuple[WeightFile, ...]:
    """Files of a backbone, or of all those whose names begin so ("musicnn").

    Raises:
        SettingError: no such backbone, or one whose files depend on the variant.
    """
    chosen = [_entries[name]] if name in _entries else []
    chosen = chosen or [entry for key, entry in _entries.items() if key.startswith(name + "-")]
    files = [file for e in chosen for file in (*e.about.files, *e.about.files_on_request)]
    if not files:
        names = ", ".join(key for key, e in sorted(_entries.items()) if not key.endswith(":"))
        raise SettingError(f"no weight files are known for {name!r}; choose one of {names}")
    return tuple(dict.fromkeys(files))


def missing_files(about: Pretrained, weights_dir: Path | None = None) -> tuple[WeightFile, ...]:
    """Files of a backbone that are not on this machine (and would be downloaded)."""
    return tuple(file for file in about.files if find(file, weights_dir) is None)
