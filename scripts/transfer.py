"""What a probe learns from one data set, and how much of it holds for another.

python scripts/transfer.py emotify 4q --archs musicnn-msd,yamnet,musicnn-msd+yamnet
"""

from pathlib import Path

from melodai.cli.main import run_script
from melodai.config import Config
from melodai_studies.transfer import measure_transfer, write_transfer

ARCHS = "musicnn-msd,yamnet,musicnn-msd+yamnet,acoustic-descriptors,log-mel-statistics"


def main(
    data: list[Path],
    archs: str = ARCHS,
    out: Path = Path("results/transfer"),
    head: str = "svm",
    segment_seconds: float = 30.0,
    pieces: int = 10,
    cache_dir: Path | None = None,
) -> None:
    """Fits probes to each data set and to all, and writes how they do on each."""
    config = Config().with_options(
        data=tuple(data), head=head, segment_seconds=segment_seconds, pieces=pieces,
        cache_dir=cache_dir,
    )  # fmt: skip
    write_transfer(measure_transfer(config, archs.split(",")), config, out)
    print((out / "transfer.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_script(main)
