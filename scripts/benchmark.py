"""Times melodai beside librosa, torchaudio and torch-audiomentations, all in one run.

python scripts/benchmark.py                     # on the demo clips, into results/benchmark
python scripts/benchmark.py --data my-music
"""

import logging
from pathlib import Path

from melodai.cli.main import run_script
from melodai_studies.benchmark.run import run_benchmark


def main(
    data: Path | None = None,
    out: Path = Path("results/benchmark"),
    num_clips: int = 8,
    seconds: float = 45.0,
    rounds: int = 15,
    num_songs: int = 20,
    threads: int | None = None,
    seed: int = 0,
) -> None:
    """Measures, prints and writes a table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    benchmark = run_benchmark(
        data, num_clips=num_clips, seconds=seconds, rounds=rounds, num_songs=num_songs,
        threads=threads, seed=seed,
    )  # fmt: skip
    benchmark.write(out)
    print(benchmark.to_markdown())


if __name__ == "__main__":
    run_script(main)
