"""Step "collect the songs" of the study, for a single song: one URL, one file, whole.

python scripts/fetch_url.py https://example.org/song.mp3 song.mp3 --sha256 1f3a...
"""

from melodai_studies.download.cli import fetch_url

from melodai.cli.main import run_script

if __name__ == "__main__":
    run_script(fetch_url)
