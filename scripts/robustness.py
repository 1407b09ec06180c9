"""How far a model's answer moves with the level and the codec of a file.

python scripts/robustness.py runs/mine --out results/robustness
"""

from pathlib import Path

from melodai.cli.main import run_script
from melodai_studies.robustness import measure_robustness, write_robustness


def main(
    run: Path,
    out: Path = Path("results/robustness"),
    num_tracks: int | None = None,
    cache_dir: Path | None = None,
) -> None:
    """Changes the test songs of a run and writes a table."""
    write_robustness(measure_robustness(run, num_tracks=num_tracks, cache_dir=cache_dir), run, out)
    print((out / "robustness.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_script(main)
