"""Fetches freely licensed music from Debian's packages, with a manifest of files and licences.

python scripts/free_music.py free-music           # about 640 pieces, 34 hours, 3 GB
melodai-pretrain free-music --arch residual       # what it is for
"""

import logging
from pathlib import Path

import typer

from melodai.cli.main import run_script
from melodai_studies.free_music import PACKAGES, SHORTEST_SECONDS, fetch


def main(
    folder: Path = typer.Argument(help="Where the music goes; again to go on."),
    packages: list[str] = typer.Option(PACKAGES, "--package", show_default=False),
    shortest: float = typer.Option(SHORTEST_SECONDS, help="Leave out what is shorter, seconds."),
) -> None:
    """Fetches the music; nothing is installed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pieces = fetch(folder, packages, shortest)
    hours = sum(piece.seconds for piece in pieces) / 3600
    print(f"{len(pieces)} pieces, {hours:.1f} hours; see {folder / 'manifest.csv'}")


if __name__ == "__main__":
    run_script(main)
