"""The shape of the code base: who imports whom, and how long a door may be."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A level imports only what stands above it; names on one level do not import each other.
LEVELS = [
    {"errors", "lazy"},
    {"labels", "palette", "file_names", "files"},
    {"config"},
    {"presets"},
    {"audio", "metrics", "environment", "interrupt", "legible", "templates"},
    {"data", "transforms"},
    {"models"},
    {"inference"},
    {"embeddings"},
    {"checkpoint"},
    {"run"},
    {"references"},
    {"bundle"},
    {"zero_shot"},
    {"probe"},
    {"explain"},
    {"training", "evaluation", "predict", "export", "pictures"},
    {"estimator", "cross_validation", "report"},
    {"comparison"},
    {"cli"},
]
STANDARD_LIBRARY_ONLY = set().union(*LEVELS[:4])
MODULES = sorted((ROOT / "melodai").rglob("*.py"))


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "melodai"


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_the_levels_below(path):
    own = path.relative_to(ROOT / "melodai").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    level = next(index for index, names in enumerate(LEVELS) if own in names)
    allowed = set().union(*LEVELS[:level]) | {own, "melodai"}
    for name in imports_of(path):
        assert not name.startswith(("baselines", "scripts")), name
        if name.startswith("melodai"):
            assert part_of(name) in allowed, f"{own} imports {name}"


@pytest.mark.parametrize("name", sorted(STANDARD_LIBRARY_ONLY))
def test_what_help_needs_is_the_standard_library_alone(name):
    for imported in imports_of(ROOT / "melodai" / f"{name}.py"):
        top = imported.split(".")[0]
        assert top == "melodai" or top in sys.stdlib_module_names, imported


def test_help_does_not_wait_for_torch():
    code = "import sys, melodai.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_script_is_a_door():
    for script in sorted((ROOT / "scripts").glob("*.py")):
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 40, script.name


@pytest.mark.parametrize(
    "package", ["melodai", "melodai.data", "melodai.evaluation", "melodai.transforms"]
)
def test_a_package_has_every_public_name_that_it_lists(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert callable(getattr(module, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018
