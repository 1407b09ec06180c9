"""Models of the Hugging Face hub: their files, and loading them without running their code.

Files are fetched and checked as all weights are. The package transformers then only builds the
network from `config.json` and takes tensors; code that a repository brings is never run.
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from baselines.weights import WeightFile, WeightsError
from melodai.errors import DependencyError

# Buffers that some versions of transformers save and all compute.
_COMPUTED = ("position_ids", "token_type_ids")


def hub_file(repository: str, name: str, licence: str = "see source", **known: Any) -> WeightFile:
    """A file of a repository.

    Args:
        known: `num_bytes`, `sha256`, and the `revision` to which these belong.
    """
    revision = known.pop("revision", "main")
    return WeightFile(
        name=f"{repository.replace('/', '--')}/{name}",
        licence=licence,
        source=f"https://huggingface.co/{repository}",
        url=f"https://huggingface.co/{repository}/resolve/{revision}/{name}",
        **known,
    )


def import_transformers() -> ModuleType:
    """The package transformers.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise DependencyError("transformers is needed: pip install transformers") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        WeightsError: not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} does not hold a JSON object")
    return content


def load_transformers(kind: type, config: Any, state: Mapping[str, Tensor], what: str) -> nn.Module:
    """A network of transformers with these tensors, every one used and none missing.

    Raises:
        WeightsError: names or shapes differ; the first few are given.
    """
    network, report = kind.from_pretrained(
        None, config=config, state_dict=dict(state), output_loading_info=True
    )
    odd = sorted(str(key) for group in report.values() for key in group)
    odd = [key for key in odd if not key.endswith(_COMPUTED)]
    if odd:
        raise WeightsError(
            f"the weights of {what} do not fit: {len(odd)} entries are missing, left over or of "
            f"another shape ({', '.join(odd[:4])}{', …' if len(odd) > 4 else ''})"
        )
    return network.eval()
