"""Step "make the spectrograms" of the study: two segments of 45 s a song as pictures per mood.

    python scripts/generate_smart_segments.py data mel_spectrograms

With each go augmented copies (--copies). Song, artist and place stand in every picture and in
mel_spectrograms/manifest.csv. melodai-train does not need it: `melodai-train --preset study --data
data` draws segments and copies anew in every epoch.
"""

from melodai.cli.main import run_script
from melodai.cli.pictures import generate_segments

if __name__ == "__main__":
    run_script(generate_segments)
