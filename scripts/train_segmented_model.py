"""Step "train on the segments" of the study: a network on a folder of pictures per mood.

    python scripts/train_segmented_model.py --data mel_spectrograms_resized --arch residual

The same as `melodai-train --preset study --data mel_spectrograms_resized --arch residual`; all
options of melodai-train can be given. All pictures of a song stay on one side of the split.
"""

import sys

from melodai.cli.main import run_script
from melodai.cli.train import train

if __name__ == "__main__":
    sys.argv[1:1] = ["--preset", "study"]
    run_script(train)
