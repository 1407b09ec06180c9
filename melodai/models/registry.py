"""One table of architectures, which baselines and third parties extend.

A package adds its own by an entry point of the group `melodai.models` that names a function; it is
called, without arguments, on the first look-up, and registers what it brings:

    [project.entry-points."melodai.models"]
    mine = "my_package:register"
"""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from melodai.config import FrontEndConfig, ModelConfig
from melodai.errors import SettingError
from melodai.models.base import MoodModel
from melodai.models.initial import load_initial
from melodai.presets import AUTO, PRETRAINED, RANDOM, shipped_weights

JOIN = "+"
# What kind of network stands behind a name: it decides how it is trained if nobody says so.
UNTRAINED, PRETRAINED_PICTURES, PRETRAINED_SOUND = "untrained", "pictures", "sound"
# Below this many training songs `auto` takes the advanced CNN, from it on the residual one.
AUTO_MIN_TRACKS_FOR_RESIDUAL = 150


class Builder(Protocol):
    """Makes an untrained model. That of a pretrained one takes `PretrainedOptions` besides."""

    def __call__(
        self, *, moods: tuple[str, ...], frontend: FrontEndConfig, dropout: float | None
    ) -> MoodModel: ...


@dataclass(frozen=True, kw_only=True)
class PretrainedOptions:
    """What the builder of a pretrained network is told besides, as keywords.

    Attributes:
        layers: names joined by +; None for the network's own choice.
        weights_dir: where to look first.
        offline: never use the network.
        with_weights: False makes the network alone, for weights that a checkpoint brings.
    """

    layers: str | None = None
    weights_dir: Path | None = None
    offline: bool = False
    with_weights: bool = True


@dataclass(frozen=True)
class Architecture:
    """One entry of the table.

    Attributes:
        name: what `--arch` takes. A name that ends in ":" is a family, `timm:` say; its builder is
            given what stands behind the colon as `variant`.
        summary: a few words for `--list-archs`.
        details: more for `--list-archs -v`: licence, source, front end.
        kind: `UNTRAINED`, `PRETRAINED_PICTURES` or `PRETRAINED_SOUND`.
        licence: of the weights.
        heard: what a pretrained network was trained on.
        tag_moods: moods as sums of the network's own tags, `mood -> tag -> weight`; None if it has
            no tags that name moods.
        zero_shot: file that says what is usual for its tags, see `melodai.zero_shot`; None if
            there is none.
    """

    name: str
    build: Callable[..., MoodModel]
    summary: str
    details: str = ""
    kind: str = UNTRAINED
    licence: str = "MIT"
    heard: str = ""
    tag_moods: "TagMoods | None" = None
    zero_shot: Path | None = None


TagMoods = Mapping[str, Mapping[str, float]]

_architectures: dict[str, Architecture] = {}


def register_model(
    name: str, *, summary: str, details: str = "", **more: Any
) -> Callable[[Builder], Builder]:
    """Decorator that enters a builder under a name.

    Args:
        more: `kind`, `licence`, `tag_moods` of an `Architecture`.

    Raises:
        ValueError: the name is taken.
    """

    def enter(build: Builder) -> Builder:
        if name in _architectures or name == AUTO:
            raise ValueError(f"the architecture {name!r} is registered already")
        _architectures[name] = Architecture(name, build, summary, details, **more)
        return build

    return enter


@functools.cache
def _load_all() -> None:
    for module in ("advanced", "residual", "pictures"):
        importlib.import_module(f"melodai.models.{module}")
    for entry_point in sorted(entry_points(group="melodai.models"), key=lambda e: e.name):
        entry_point.load()()


def architectures() -> tuple[Architecture, ...]:
    """All of them: melodai's own first, then in the order of registration."""
    _load_all()
    found = _architectures.values()
    return tuple(sorted(found, key=lambda a: (a.kind != UNTRAINED, a.name.endswith(":"))))


def find_architecture(arch: str) -> Architecture:
    """The entry of that name, or of the family whose prefix it has.

    Raises:
        SettingError: there is none; the message lists the known ones.
    """
    if JOIN in arch:
        return _joined(arch)
    known = {architecture.name: architecture for architecture in architectures()}
    family = arch.split(":", 1)[0] + ":"
    if arch in known and not arch.endswith(":"):
        return known[arch]
    if family in known and arch != family:
        variant = arch.removeprefix(family)
        entry = known[family]
        return replace(entry, name=arch, build=functools.partial(entry.build, variant=variant))
    names = ", ".join([AUTO, *(name + "<name>" if name.endswith(":") else name for name in known)])
    raise SettingError(f"unknown architecture {arch!r}; choose one of {names}")


def _joined(arch: str) -> Architecture:
    """Several pretrained networks whose embeddings are put side by side."""
    parts = [find_architecture(name) for name in arch.split(JOIN)]
    if untrained := [part.name for part in parts if part.kind == UNTRAINED]:
        raise SettingError(f"{arch}: {untrained[0]} is not pretrained and cannot be joined")
    if len(set(arch.split(JOIN))) < len(parts):
        raise SettingError(f"{arch}: each network once")

    def build(**options: Any) -> MoodModel:
        from melodai.models.joined import JoinedModel

        if options.get("layers"):
            raise SettingError("--layers is for one network, not for a join")
        return JoinedModel([part.build(**options) for part in parts])

    return Architecture(
        arch, build, "joined: " + ", ".join(part.name for part in parts), kind=PRETRAINED_SOUND,
        licence="; ".join(dict.fromkeys(part.licence for part in parts)),
    )  # fmt: skip


def resolve_arch(arch: str, num_tracks: int, init: str = RANDOM) -> str:
    """`arch` itself, or what `auto` stands for with so many training songs.

    Pretrained weights help most where songs are few. Without, the threshold is about the size of
    the study (148 songs); it is a convention, not a finding.
    """
    if arch != AUTO:
        return arch
    has_weights = init == PRETRAINED and shipped_weights("residual") is not None
    enough = num_tracks >= AUTO_MIN_TRACKS_FOR_RESIDUAL
    return "residual" if has_weights or enough else "advanced"


def mode_of(mode: str, arch: str, *, is_pretrained: bool = False) -> str:
    """How an architecture is trained: `mode`, or what "auto" stands for.

    Args:
        is_pretrained: whether one of melodai's own networks begins with pretrained weights.

    Raises:
        SettingError: the mode is not for that architecture.
    """
    architecture = find_architecture(arch)
    if mode == "auto":
        untrained = "finetune" if is_pretrained else "train"
        return {
            UNTRAINED: untrained, PRETRAINED_PICTURES: "finetune", PRETRAINED_SOUND: "probe"
        }[architecture.kind]  # fmt: skip
    if mode != "train" and architecture.kind == UNTRAINED and not is_pretrained:
        raise SettingError(
            f"--mode {mode} is for pretrained networks; {arch} has random weights (see --init)"
        )
    if mode in ("train", "finetune") and JOIN in arch:
        raise SettingError(f"--mode {mode} is for one network; {arch} can be probed")
    if mode == "zero-shot" and architecture.tag_moods is None:
        raise SettingError(f"--mode zero-shot: {arch} has no tags that name moods")
    return mode


def build_model(
    arch: str,
    classes: int | Sequence[str],
    *,
    frontend: FrontEndConfig | None = None,
    dropout: float | None = ModelConfig.dropout,
    pooling: str = ModelConfig.pooling,
    init: str = RANDOM,
    pretrained: PretrainedOptions | None = None,
) -> MoodModel:
    """A model that has not learned moods yet: `(batch, time) -> (batch, class)`.

    Args:
        arch: a name from `melodai-train --list-archs`.
        classes: the moods, or their number.
        frontend: settings of the log-mel; the defaults if None.
        dropout: in the dense layers; the network's own if None.
        pooling, init: of melodai's own networks, see `--pooling` and `--init`.
        pretrained: where a pretrained network finds its weights.

    Raises:
        SettingError: the architecture is unknown, or there are fewer than two classes.
        MelodaiError: the weights of a pretrained network cannot be had.

    Example:
        >>> build_model("residual", classes=3)(torch.zeros(2, 22050)).shape
        torch.Size([2, 3])
    """
    moods = tuple(f"class_{i}" for i in range(classes)) if isinstance(classes, int) else (*classes,)
    if len(moods) < 2:
        raise SettingError(f"{len(moods)} classes; a model needs at least two")
    architecture = find_architecture(arch)
    options: dict[str, Any] = {
        "moods": moods, "frontend": frontend or FrontEndConfig(), "dropout": dropout
    }  # fmt: skip
    if architecture.kind != UNTRAINED:
        options |= vars(pretrained or PretrainedOptions())
    elif pretrained is not None and pretrained.layers:
        raise SettingError(f"--layers is for pretrained networks; {arch} is none")
    model = architecture.build(**options)
    if pooling != ModelConfig.pooling:
        model.encoder.pool(pooling, len(moods), dropout)
    load_initial(model, arch, options["frontend"], init)
    return model
