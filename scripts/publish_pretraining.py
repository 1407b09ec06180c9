"""Publishes a run of melodai-pretrain: the weights that come with the package, and their card.

python scripts/publish_pretraining.py runs/pretrained --manifest free-music/manifest.csv
"""

from pathlib import Path

import typer

from melodai.cli.main import run_script
from melodai_studies.pretraining import publish_pretraining


def main(
    run: Path,
    manifest: Path = typer.Option(..., help="Of scripts/free_music.py."),
    package: Path = Path("melodai/pretrained"),
    results: Path = Path("results/pretraining"),
) -> None:
    """Writes the weights and their card into PACKAGE, curves and settings into RESULTS."""
    publish_pretraining(run, package, results, manifest)


if __name__ == "__main__":
    run_script(main)
