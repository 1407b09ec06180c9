"""Step "compare the spectrograms" of the study: by mood, acoustic features, their separation.

    python scripts/spectrogram_comparison.py DATA --out sound

The same as `melodai-sound DATA --out sound`.
"""

from melodai.cli.main import run_script
from melodai.cli.study import sound

if __name__ == "__main__":
    run_script(sound)
