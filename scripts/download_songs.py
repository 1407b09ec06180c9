"""Step "collect the songs" of the study: from a list of URLs to a folder of songs per mood.

    python scripts/download_songs.py songs.csv --out data

The list has a row a song (mood, url; where known artist, title, licence, sha256). The first 90 s of
each song go to data/<mood>/<artist - title>.mp3 (or what it is), and data/manifest.csv is what
`melodai-train --data data/manifest.csv` reads. Stopped in any way, the same command goes on.
"""

from melodai.cli.main import run_script
from melodai_studies.download.cli import download_songs

if __name__ == "__main__":
    run_script(download_songs)
