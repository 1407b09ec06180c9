"""One table of architectures, which baselines and third parties extend.

A package adds its own by an entry point of the group `melodai.models` that names a function; it is
called, without arguments, on the first look-up, and registers what it brings:

    [project.entry-points."melodai.models"]
    mine = "my_package:register"
"""

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from melodai.config import FrontEndConfig, ModelConfig
from melodai.errors import SettingError
from melodai.models.base import MoodModel

AUTO = "auto"
# Below this many training songs `auto` takes the advanced CNN, from it on the residual one.
AUTO_MIN_TRACKS_FOR_RESIDUAL = 150


class Builder(Protocol):
    """Makes an untrained (or pretrained) model."""

    def __call__(
        self, *, moods: tuple[str, ...], frontend: FrontEndConfig, dropout: float | None
    ) -> MoodModel: ...


@dataclass(frozen=True)
class Architecture:
    """One entry of the table.

    Attributes:
        name: what `--arch` takes. A name that ends in ":" is a family, `timm:` say; its builder is
            given what stands behind the colon as `variant`.
        summary: a few words for `--list-archs`.
        details: more for `--list-archs -v`: licence, source, front end.
    """

    name: str
    build: Callable[..., MoodModel]
    summary: str
    details: str = ""


_architectures: dict[str, Architecture] = {}


def register_model(name: str, *, summary: str, details: str = "") -> Callable[[Builder], Builder]:
    """Decorator that enters a builder under a name.

    Raises:
        ValueError: the name is taken.
    """

    def enter(build: Builder) -> Builder:
        if name in _architectures or name == AUTO:
            raise ValueError(f"the architecture {name!r} is registered already")
        _architectures[name] = Architecture(name, build, summary, details)
        return build

    return enter


@functools.cache
def _load_all() -> None:
    for module in ("advanced", "residual"):
        importlib.import_module(f"melodai.models.{module}")
    for entry_point in sorted(entry_points(group="melodai.models"), key=lambda e: e.name):
        entry_point.load()()


def architectures() -> tuple[Architecture, ...]:
    """All of them, in the order of registration."""
    _load_all()
    return tuple(_architectures.values())


def find_architecture(arch: str) -> Architecture:
    """The entry of that name, or of the family whose prefix it has.

    Raises:
        SettingError: there is none; the message lists the known ones.
    """
    known = {architecture.name: architecture for architecture in architectures()}
    family = arch.split(":", 1)[0] + ":"
    if arch in known and not arch.endswith(":"):
        return known[arch]
    if family in known and arch != family:
        variant = arch.removeprefix(family)
        entry = known[family]
        return Architecture(
            arch, functools.partial(entry.build, variant=variant), entry.summary, entry.details
        )
    names = ", ".join([AUTO, *(name + "<name>" if name.endswith(":") else name for name in known)])
    raise SettingError(f"unknown architecture {arch!r}; choose one of {names}")


def resolve_arch(arch: str, num_tracks: int) -> str:
    """`arch` itself, or what `auto` stands for with so many training songs.

    The threshold is about the size of the study (148 songs); it is a convention, not a finding.
    """
    if arch != AUTO:
        return arch
    return "residual" if num_tracks >= AUTO_MIN_TRACKS_FOR_RESIDUAL else "advanced"


def build_model(
    arch: str,
    classes: int | Sequence[str],
    *,
    frontend: FrontEndConfig | None = None,
    dropout: float | None = ModelConfig.dropout,
) -> MoodModel:
    """An untrained model: `(batch, time) -> (batch, class)`.

    Args:
        arch: a name from `melodai-train --list-archs`.
        classes: the moods, or their number.
        frontend: settings of the log-mel; the defaults if None.
        dropout: in the dense layers; the network's own if None.

    Raises:
        SettingError: the architecture is unknown, or there are fewer than two classes.

    Example:
        >>> build_model("residual", classes=3)(torch.zeros(2, 22050)).shape
        torch.Size([2, 3])
    """
    moods = tuple(f"class_{i}" for i in range(classes)) if isinstance(classes, int) else (*classes,)
    if len(moods) < 2:
        raise SettingError(f"{len(moods)} classes; a model needs at least two")
    build = find_architecture(arch).build
    return build(moods=moods, frontend=frontend or FrontEndConfig(), dropout=dropout)
