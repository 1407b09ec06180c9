"""The commands about a data set, end to end on generated songs."""

import json
import wave

import numpy as np
import pytest

from melodai.errors import DataError
from melodai.evaluation.commands import run_audit, run_ceiling, run_sound_study

RATE = 22050
MOODS = ("energetic", "peaceful", "emotional")


def write_song(path, seed, brightness):
    """Tones at random times, higher for a brighter song."""
    random = np.random.default_rng(seed)
    time = np.arange(10 * RATE) / RATE
    song = 0.003 * random.normal(size=len(time))
    for start in random.uniform(0, 9, size=40):
        since = time[int(start * RATE) :] - start
        pitch = brightness * random.uniform(0.7, 1.4)
        song[int(start * RATE) :] += np.exp(-6 * since) * np.sin(2 * np.pi * pitch * since)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((4000 * song).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A manifest of songs, one of them twice, and one artist spelled in two ways."""
    root = tmp_path_factory.mktemp("songs")
    rows = ["path,mood,artist,split"]
    for index in range(12):
        path = f"{index}.wav"
        write_song(root / path, index, (2500, 400, 900)[index % 3])
        artist = {3: "The Beatles", 7: "Beatles"}.get(index, f"artist number {chr(97 + index)}")
        rows.append(f"{path},{MOODS[index % 3]},{artist},{'test' if index in (3, 11) else 'train'}")
    samples = np.frombuffer((root / "2.wav").read_bytes()[44:], "<i2")
    with wave.open(str(root / "copy.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples[RATE:] // 2).astype("<i2").tobytes())
    rows.append("copy.wav,emotional,somebody else,test")
    (root / "songs.csv").write_text("\n".join(rows) + "\n")
    return root


def test_the_audit_of_a_manifest_finds_what_was_planted(songs, tmp_path):
    audit = run_audit(songs / "songs.csv", cache_dir=tmp_path / "cache", json=tmp_path / "a.json")
    assert [(pair.one, pair.other) for pair in audit.duplicates] == [("2.wav", "copy.wav")]
    assert {audit.spellings[0].one, audit.spellings[0].other} == {"Beatles", "The Beatles"}
    assert [(found.names, found.parts) for found in audit.crossings] == [
        (("2.wav", "copy.wav"), ("test", "train")),
        (("3.wav", "7.wav"), ("test", "train")),
    ]
    assert json.loads((tmp_path / "a.json").read_text())["num_tracks"] == 13
    split = tmp_path / "split.csv"
    split.write_text("name,part\n2.wav,train\ncopy.wav,train\n3.wav,train\n7.wav,validation\n")
    crossings = run_audit(songs / "songs.csv", cache_dir=tmp_path / "cache", split=split).crossings
    assert [found.parts for found in crossings] == [("train", "validation")]
    with pytest.raises(DataError, match="not the split"):
        run_audit(songs / "songs.csv", cache_dir=tmp_path / "cache", split=tmp_path / "none.csv")


def test_the_sound_study_writes_figures_tables_and_the_separation(songs, tmp_path):
    study = run_sound_study(
        songs / "songs.csv",
        tmp_path / "out",
        cache_dir=tmp_path / "cache",
        segment_seconds=5.0,
        num_resamples=50,
    )
    assert all(path.stat().st_size > 0 for path in study.files) and len(study.files) == 5
    found = study.separation["energetic - peaceful"]
    assert found.score.value > 0.1 and found.by_feature[0] > 0.8  # brightness
    assert len((tmp_path / "out" / "features.csv").read_text().splitlines()) == 14
    assert "separation" not in json.loads((tmp_path / "out" / "separation.json").read_text())


def test_the_ceiling_needs_no_sound(tmp_path):
    random = np.random.default_rng(0)
    header = "track id,genre,amazement,solemnity,tenderness,nostalgia,calmness,power,joyful_activation,tension,sadness"  # noqa: E501
    rows, folds = [header], ["track,artist,fold"]
    for number in range(1, 31):
        emotion = (6, 5, 3)[number % 3]
        for _ in range(9):
            votes = [0] * 9
            votes[emotion if random.random() < 0.9 else random.integers(1, 6)] = 1
            rows.append(",".join(map(str, [number, "classical", *votes])))
        folds.append(f"{number},artist {number // 2},{number % 5}")
        path = tmp_path / "emotifymusic" / "classical" / f"{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "folds.csv").write_text("\n".join(folds) + "\n")
    ceiling = run_ceiling(tmp_path, num_repetitions=20, json=tmp_path / "c.json")
    assert ceiling.num_votes == 270 and ceiling.num_tracks == 30
    assert ceiling.halves.accuracy > 0.9 and ceiling.one_listener.accuracy > 0.8
    assert set(ceiling.shortcuts) == {"commonest mood", "artist's other songs", "genre"}
    stored = json.loads((tmp_path / "c.json").read_text())
    assert stored["one_listener"]["correlation"] == [None, None, None]


def test_without_votes_the_ceiling_is_its_shortcuts(songs):
    ceiling = run_ceiling(songs / "songs.csv")
    assert ceiling.halves is None and "commonest mood" in ceiling.shortcuts
