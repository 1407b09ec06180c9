"""The machine: which device to use, whether the torch packages fit each other, the versions."""

import importlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from melodai.errors import DependencyError, SettingError

# Versions that were tested together; torchaudio 2.11 is the last that was published.
TESTED = "torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0"


def check_torch_packages() -> None:
    """Imports torchvision and torchaudio, which fail on a torch they were not compiled for.

    Raises:
        DependencyError: one does not fit; the message gives the command that mends it.
    """
    for name in ("torchvision", "torchaudio"):
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            raise DependencyError(
                f"{name} {_version(name)} does not fit torch {_version('torch')}; mend it with:  "
                f"python -m pip install --force-reinstall {TESTED}"
            ) from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def find_device(name: str) -> torch.device:
    """The named device; `auto` is the GPU there is, else the CPU.

    Processes that torchrun started on one machine take a GPU each.

    Raises:
        SettingError: no such device here.
    """
    if name in ("auto", "cuda") and torch.cuda.is_available():
        rank = int(os.environ.get("LOCAL_RANK", torch.cuda.current_device()))
        return torch.device("cuda", rank % torch.cuda.device_count())
    if name == "auto":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingError(
            f"--device {name} cannot be used here ({reason}); choose auto or cpu"
        ) from error
    return device


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on the device, without waiting for the device."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def versions() -> dict[str, str]:
    """What a result depends on: packages, Python, machine, and the commit of a source checkout."""
    packages = ("melodai", "torch", "torchaudio", "torchvision", "timm", "numpy", "librosa", "av")
    found = {package: _version(package) for package in packages}
    found["python"] = platform.python_version()
    found["machine"] = f"{platform.system()} {platform.machine()}"
    found["commit"] = _commit()
    return found


def _commit() -> str:
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
