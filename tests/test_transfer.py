"""Probes learned from one data set and tested on another."""

import csv

from melodai.config import Config
from melodai_studies.transfer import measure_transfer, write_transfer
from tests.songs import KINDS, make_library, song, write_wav


def test_what_one_data_set_teaches_is_tested_on_the_other_and_written(tmp_path):
    one = make_library(tmp_path / "one")
    two = tmp_path / "two"  # whose people call everything by another name
    for index, (mood, other) in enumerate(zip(KINDS, [*list(KINDS)[1:], *KINDS], strict=False)):
        for number in range(5):
            write_wav(two / other / f"{number}.wav", song(mood, 500 + 50 * index + number))
    config = Config().with_options(
        data=(one, two), head="linear", segment_seconds=3.0, pieces=1, num_decoders=1, num_folds=2,
        cache_dir=tmp_path / "cache",
    )  # fmt: skip
    rows = measure_transfer(config, ["log-mel-statistics"])
    found = {(row.learned, row.tested): row.scores["accuracy"].value for row in rows}
    assert found["one", "one"] > 0.7 and found["two", "two"] > 0.7
    assert found["one", "two"] < 0.3 and found["two", "one"] < 0.3
    assert 0.2 < found["both", "one"] < 0.8
    write_transfer(rows, config, tmp_path / "out")
    with (tmp_path / "out" / "transfer.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["learned from"] for row in table] == ["one"] * 2 + ["two"] * 2 + ["both"] * 2
    assert (tmp_path / "out" / "transfer.png").stat().st_size > 10_000
    assert "| log-mel-statistics | one | two | 0." in (tmp_path / "out" / "transfer.md").read_text()
