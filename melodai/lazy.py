"""A package's public names, imported when they are first asked for.

Torch takes seconds to import: neither `melodai --help` nor a decoder process must wait for it.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def public_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], list[str]]:
    """`__getattr__` and `__all__` of a package.

    Args:
        package: its name, for messages.
        homes: the names that each module is the home of.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home_of[name]), name)

    return find, sorted(home_of)
