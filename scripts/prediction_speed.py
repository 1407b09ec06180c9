"""Times the prediction of a library beside decoding it.

python scripts/prediction_speed.py my-music           # the ratio is to stay below 1.3
"""

import os
from pathlib import Path

from melodai.cli.main import run_script


def main(
    music: Path,
    model: Path | None = None,
    num_songs: int = 100,
    made: int = 20,
    processes: int = 2,
    rounds: int = 3,
) -> None:
    """Measures and prints tables."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as melodai-predict has it
    import torch

    import melodai
    from melodai.predict.songs import find_songs
    from melodai_studies.prediction_speed import report

    torch.set_num_threads(processes)
    songs = find_songs([music]).paths
    songs = songs[:: max(1, len(songs) // num_songs)][:num_songs]
    print(report(songs, melodai.load(model, num_decoders=processes), made=made, rounds=rounds))


if __name__ == "__main__":
    run_script(main)
