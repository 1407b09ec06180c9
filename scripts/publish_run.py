"""Copies the small files of an evaluated run, without weights and paths of this machine.

python scripts/publish_run.py runs/mine results/mine
"""

from pathlib import Path

from melodai.cli.main import run_script
from melodai_studies.publish import publish_run


def main(run: Path, out: Path) -> None:
    """Writes them to OUT."""
    for path in publish_run(run, out):
        print(path)


if __name__ == "__main__":
    run_script(main)
