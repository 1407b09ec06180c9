"""Step "resize the spectrograms" of the study: all pictures to 224 x 224.

    python scripts/resizing.py mel_spectrograms mel_spectrograms_resized --size 224

Folders, names, manifest.csv and the text in the pictures stay. `melodai-train` does not need it: it
resizes pictures of any size as it reads them.
"""

from melodai.cli.main import run_script
from melodai.cli.pictures import resize_folder

if __name__ == "__main__":
    run_script(resize_folder)
