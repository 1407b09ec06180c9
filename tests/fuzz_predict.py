"""`melodai-predict` on a folder of broken and strange files made from real songs.

python -m tests.fuzz_predict runs/mine music/*.mp3 --count 1000    # a count of every outcome
"""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz_audio import clips, mutations, strange_wavs

COMMAND = (sys.executable, "-m", "melodai.cli.main", "predict")


def write_broken_files(folder: Path, songs: Sequence[Path], count: int, seed: int) -> int:
    """Fills a folder with about `count` files: strange WAVs, and songs after mutations."""
    folder.mkdir(parents=True)
    files = [(name, data) for name, data, _ in strange_wavs()]
    originals = [*clips(folder.with_name("clips")), *(path.read_bytes() for path in songs)]
    share = -(-max(0, count - len(files)) // len(originals))
    for number, original in enumerate(originals):
        broken = mutations(original, share, 1000 * seed + number)
        files += [(f"{number}-{name}", data) for name, data in broken]
    for name, data in files:
        (folder / name).write_bytes(data)
    return len(files)


def longest_silence(command: Sequence[str], rows: Path) -> tuple[int, float]:
    """Exit code, and the longest time between two rows of a file that a command writes."""
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    longest, length, since = 0.0, 0, None
    while program.poll() is None:
        now, size = time.monotonic(), rows.stat().st_size if rows.exists() else 0
        if size != length:
            longest = max(longest, now - since) if since is not None else 0.0
            length, since = size, now
        time.sleep(0.05)
    return program.returncode, longest


def main() -> None:
    """Prints how often each outcome came."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("songs", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "songs"), Path(name, "moods.jsonl")
        number = write_broken_files(folder, given.songs, given.count, given.seed)
        began = time.monotonic()
        command = [*COMMAND, str(folder), "--model", given.model, "--out", str(out)]
        code, longest = longest_silence(command, out)
        seconds = time.monotonic() - began
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    outcomes = collections.Counter(row["error"] or "has a mood" for row in rows)
    for outcome, count in outcomes.most_common():
        print(f"{count:5}  {outcome}")
    print(
        f"{number} files, {len({row['file'] for row in rows})} rows, exit code {code}, "
        f"{seconds:.0f} s, at most {longest:.1f} s from one row to the next"
    )


if __name__ == "__main__":
    main()
