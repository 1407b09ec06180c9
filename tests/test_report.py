"""The report is one page that loads nothing, escapes everything, sorts in a browser and plays."""

import re
import shutil
import subprocess
import wave
from dataclasses import replace

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.ceiling import Ceiling, shortcuts
from melodai.evaluation.predictions import make_predictions
from melodai.evaluation.summary import evaluate
from melodai.report import (
    ReportedRun,
    draw_figures,
    markdown_table,
    read_run,
    run_report,
    write_report,
)
from melodai.report.songs import timeline
from tests import songs
from tests.runs import make_run as make_run_folder
from tests.songs import write_wav

MOODS = ("energetic", "peaceful", "emotional")
NASTY = '<script>alert("x")</script> & "quotes" \'s'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def make_run(name, seed, folder, skill):
    random = np.random.default_rng(seed)
    labels, tracks = np.arange(24) % 3, np.repeat(np.arange(24), 3)
    song = folder / "a song #1.wav"
    with wave.open(str(song), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(random.integers(-900, 900, size=8000, dtype=np.int16).tobytes())
    predictions = make_predictions(
        data="made up", split="test", moods=MOODS,
        names=[NASTY, *(f"song {index:02}" for index in range(1, 24))], labels=labels,
        logits=random.normal(size=(72, 3)) + skill * np.eye(3)[labels[tracks]], tracks=tracks,
        starts_seconds=np.tile([0.0, 10.0, 20.0], 24), lengths_seconds=np.full(72, 10.0),
        artists=[f"artist {index // 2}" for index in range(24)],
        paths=[song, folder / "lost.wav", *[None] * 22], provenance={"seed": str(seed)},
    )  # fmt: skip
    evaluation, predictions = evaluate(
        predictions, random=np.random.default_rng(0), num_resamples=30
    )
    return ReportedRun(name=name, predictions=predictions, evaluation=evaluation)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    runs = [make_run("first <run>", 0, folder, 1.5), make_run("second", 1, folder, 0.5)]
    predictions = runs[0].predictions
    lines = shortcuts(
        predictions.labels, 3, folds=np.arange(24) % 5, artists=predictions.clusters,
        genres=np.full(24, -1),
    )  # fmt: skip
    ceiling = Ceiling(
        data="made up", moods=MOODS, num_tracks=24, num_votes=0, halves=None, resampled=None,
        one_listener=None, shortcuts=lines,
    )  # fmt: skip
    page, table = write_report(
        runs, folder / "out" / "report.html", ceiling=ceiling, num_resamples=30
    )
    return page, table, runs, ceiling


def test_the_page_loads_nothing_from_elsewhere_and_escapes_names(report):
    text = report[0].read_text(encoding="utf-8")
    assert not re.search(r"(https?:)?//\w", re.sub(r'data:image/png;base64,[^"]*', "", text))
    assert '<script>alert("x")' not in text and "first <run>" not in text
    assert text.count("<svg") == 48 and text.count("data:image/png;base64") == 8


def test_only_songs_that_are_there_can_be_played(report):
    sources = re.findall(r'data-source="([^"]*)"', report[0].read_text(encoding="utf-8"))
    assert sources == ["../a%20song%20%231.wav"] * 2


def test_the_tables_hold_the_scores_of_the_evaluation(report):
    page, table, runs, ceiling = report
    accuracy = runs[1].evaluation.tracks["accuracy"]
    assert f"{accuracy.value:.3f}<br><small>{accuracy.low:.3f} to" in page.read_text("utf-8")
    text = table.read_text("utf-8")
    assert text == markdown_table(runs, ceiling)
    assert str(accuracy) in text and "shortcut: commonest mood" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_a_timeline_covers_the_song_in_order_of_time():
    shares = np.array([[0.2, 0.8], [1.0, 0.0]])
    stacks = timeline(np.array([10.0, 0.0]), np.array([5.0, 10.0]), shares, ("a", "b"))
    told = [stack.told for stack in stacks]
    assert told == ["0–10 s: a 100%, b 0%", "10–15 s: a 20%, b 80%"]
    assert [stack.width for stack in stacks] == pytest.approx([2 / 3, 1 / 3])


def test_the_answer_for_a_chosen_song_is_explained(report, tmp_path):
    run = make_run_folder(tmp_path / "run")
    song = write_wav(tmp_path / "a song.wav", songs.song("peaceful", 0))
    predictions = report[2][0].predictions
    paths = np.array([str(song), *predictions.paths[1:]])
    names = np.array(["rock/a song.wav", *predictions.names[1:]])
    replace(predictions, names=names, paths=paths).save(run / "predictions.npz")
    out = tmp_path / "report.html"
    plain, _ = run_report([run], out, num_resamples=20)
    without = plain.read_text("utf-8")
    page, _ = run_report([run], out, explain=["a song.wav"], num_resamples=20)
    text = page.read_text("utf-8")
    assert "<h3>Why</h3>" in text and "<h3>Why</h3>" not in without
    assert "what carries the answer for rock/a song.wav" in text
    with pytest.raises(DataError, match=r"0 of the predicted songs are named 'other\.wav'"):
        run_report([run], out, explain=["other.wav"], num_resamples=20)
    with pytest.raises(DataError, match="not where it was"):
        run_report([run], out, explain=["song 01"], num_resamples=20)
    (run / "best.pt").unlink()
    with pytest.raises(DataError, match=r"no best\.pt"):
        run_report([run], out, explain=["a song.wav"], num_resamples=20)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")
def test_a_browser_sorts_searches_and_plays(report, tmp_path):
    script = """<script>
      const rows = () => [...document.querySelectorAll("#songs-0 tbody tr")];
      const head = name => [...document.querySelectorAll("#songs-0 th button")]
        .find(button => button.textContent === name);
      const column = index => rows().map(row => row.children[index].dataset.value);
      head("confidence").click(); const up = column(5).map(Number);
      head("confidence").click(); const down = column(5).map(Number);
      head("song").click(); const names = column(1);
      const sorted = list => list.every((value, index) => !index || list[index - 1] <= value);
      const search = document.querySelector("input[type=search]");
      search.value = "SONG 07"; search.dispatchEvent(new Event("input"));
      const left = rows().filter(row => !row.hidden).length;
      const audio = document.querySelector("#player audio");
      audio.addEventListener("loadedmetadata", () => { document.title += " plays " + audio.duration; });
      document.querySelector("button.play").click();
      document.title = [sorted(up), sorted([...down].reverse()), up.length, left, names[1]].join(" ");
    </script></body>"""  # noqa: E501
    page = report[0].with_name("driven.html")
    page.write_text(report[0].read_text("utf-8").replace("</body>", script), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--autoplay-policy=no-user-gesture-required",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=4000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    assert title == "true true 24 1 song 01 plays 1"


def test_a_stored_run_is_reported_and_drawn_as_it_was_evaluated(report, tmp_path):
    run = report[2][0]
    folder = tmp_path / "my run"
    folder.mkdir()
    run.predictions.pooled_by("max").at_temperatures(2.0, 1.0).save(folder / "predictions.npz")
    read = read_run(folder, num_resamples=20)
    assert read.name == "my run" and read.history is None
    assert read.evaluation.pooling == "max" and (read.predictions.temperatures == 2).all()
    page, _ = run_report([folder], tmp_path / "report.html", names=["two"], num_resamples=20)
    assert "<h2>two</h2>" in page.read_text("utf-8")
    drawn = draw_figures(read.evaluation, read.predictions, folder / "history.csv", tmp_path)
    names = {path.name for path in drawn}
    assert names == {"moods.png", "confusion.png", "reliability.png", "risk_coverage.png"}
    assert all(path.is_file() for path in drawn)
    with pytest.raises(DataError, match="holds no predictions"):
        run_report([tmp_path / "none"], tmp_path / "report.html")
