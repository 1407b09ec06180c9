"""Keeps what is usual for a network's tags, so that `--model jamendo-vgg` can answer.

melodai-train --data emotify --arch jamendo-vgg --mode zero-shot --segment-seconds 30 --all-songs
    --out runs/zero; melodai-evaluate runs/zero
python scripts/keep_zero_shot.py runs/zero baselines/zero_shot/jamendo-vgg.safetensors
"""

from pathlib import Path

from melodai.cli.main import run_script
from melodai.zero_shot import keep_zero_shot


def main(run: Path, out: Path) -> None:
    """Writes OUT."""
    print(keep_zero_shot(run, out))


if __name__ == "__main__":
    run_script(main)
