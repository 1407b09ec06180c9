"""What a run writes for TensorBoard, read back with TensorBoard's own reader."""

import csv

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import melodai
from melodai.references import References
from tests.songs import make_library

MOODS = ("energetic", "peaceful", "emotional")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorboard")
    library = make_library(folder / "library")
    return melodai.train(
        data=library, cache_dir=folder / "cache", out=folder / "run", arch="residual", epochs=3,
        segment_seconds=3.0, image_size=64, batch_size=4, num_decoders=1, device="cpu",
        learning_rate=1e-6,
    ).run  # fmt: skip


@pytest.fixture(scope="module")
def events(run):
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "audio": 0})
    return accumulator.Reload()


def test_every_curve_has_one_point_an_epoch(events):
    tags = [
        f"{name}/{part}"
        for name in ("loss", "accuracy", "macro_f1")
        for part in ("train", "validation")
    ]
    tags += [f"f1_{part}/{mood}" for part in ("train", "validation") for mood in MOODS]
    tags += ["optimizer/learning_rate", "optimizer/gradient_norm"]
    tags += ["speed/segments_per_second", "speed/seconds_waiting_for_data"]
    for tag in tags:
        assert [event.step for event in events.Scalars(tag)] == [1, 2, 3], tag


def test_pictures_sound_and_curves_of_songs_are_there(events, run):
    tags = events.Tags()
    assert {"confusion/validation", "log_mel/as_trained_on"} <= set(tags["images"])
    assert {f"precision_recall/{mood}" for mood in MOODS} <= set(tags["tensors"])
    wrong = [tag for tag in tags["audio"] if tag.startswith("confidently_wrong/")]
    assert wrong, "a network that has learnt nothing is wrong about some song"
    assert events.Audio(wrong[0])[0].encoded_audio_string[:4] == b"RIFF"
    assert "explanations/1" in tags["images"]


def test_the_projector_has_a_row_for_every_song_used(run):
    assert (run / "projector_config.pbtxt").is_file()
    rows = next(run.glob("*/songs/metadata.tsv")).read_text().splitlines()
    assert rows[0].split("\t") == ["mood", "predicted", "part", "name"]
    used = [row for row in (run / "split.csv").read_text().splitlines()[1:] if ",test" not in row]
    assert len(rows) - 1 == len(used)


def test_the_run_keeps_the_songs_it_learned_from(run):
    with (run / "split.csv").open(newline="") as file:
        train = [row["name"] for row in csv.DictReader(file) if row["part"] == "train"]
    references = References.load(run / "references.safetensors")
    assert sorted(references.names) == sorted(train)
    assert references.embeddings.shape == (len(train), 2 * 256)
    assert all(
        mood in name for name, mood in zip(references.names, references.moods, strict=True)
    ), "each song's own mood"


def test_hparams_are_in_the_run_itself_with_final_metrics(events, run):
    plugins = events.summary_metadata
    assert "_hparams_/experiment" in plugins and "_hparams_/session_start_info" in plugins
    assert events.Scalars("hparam/accuracy")[0].value >= 0
    folders_with_events = {path.parent for path in run.rglob("events.out.tfevents.*")}
    assert folders_with_events == {run}, "no second run folder"
