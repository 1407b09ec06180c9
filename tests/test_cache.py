import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
import tracemalloc

import numpy as np
import pytest

from melodai.audio import decode
from melodai.data.cache import VERSION, build_cache, default_cache_dir
from melodai.data.store import CachedTrack, Store
from melodai.errors import DataError, MelodaiError
from melodai.files import file_digest
from tests.conftest import noise, sine, write_audio

RATE = 8000


def settled(path):
    """Lets the file look older than the two seconds within which it might change unseen."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10_000_000_000))
    return path


@pytest.fixture
def songs(tmp_path):
    return [
        settled(write_audio(tmp_path / f"song{number}.flac", noise(4, number, RATE), RATE))
        for number in range(4)
    ]


@pytest.fixture
def build(tmp_path):
    def build(paths, **options):
        settings = dict(sample_rate=RATE, cache_dir=tmp_path / "cache", num_decoders=2)
        return build_cache(paths, **{**settings, **options})

    return build


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_cache_holds_what_decoding_gives(songs, build):
    report = build(songs)
    assert list(report.entries) == songs
    assert report.failures == ()
    assert report.num_decoded == 4
    for song, entry in report.entries.items():
        waveform = decode(song, RATE).waveform
        assert np.array_equal(entry.read(), waveform)
        assert np.array_equal(entry.read(100, 50), waveform[100:150])
        assert entry.read(entry.num_samples, 0).shape == (0,)
        assert entry.key == file_digest(song)
        mapped = np.load(entry.path, mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        assert np.array_equal(mapped, waveform)


def test_reading_beyond_the_song_is_refused(songs, build):
    entry = build(songs[:1]).entries[songs[0]]
    for start, count in ((0, entry.num_samples + 1), (-1, 10), (entry.num_samples, 1)):
        with pytest.raises(ValueError, match="samples"):
            entry.read(start, count)


def test_a_second_build_decodes_nothing(songs, build):
    first = build(songs)
    second = build(songs)
    assert second.num_decoded == 0
    assert second.entries == first.entries


def test_tags_are_remembered(tmp_path, build):
    tags = dict(artist="Ann", album="Alb", title="Tit")
    song = settled(write_audio(tmp_path / "a.flac", noise(4), **tags))
    for _ in range(2):
        assert build([song]).entries[song].tags == ("Ann", "Alb", "Tit", None)


def test_progress_counts_every_file_whatever_becomes_of_it(tmp_path, songs, build):
    seen = []
    build([*songs, tmp_path / "none.mp3"], on_progress=lambda *told: seen.append(told))
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5]
    assert {total for _, total, _ in seen} == {5}
    assert {path for _, _, path in seen} == {*songs, tmp_path / "none.mp3"}


def test_failures_are_named_in_order_and_the_rest_goes_on(tmp_path, songs, build):
    text = settled(tmp_path / "text.mp3") if (tmp_path / "text.mp3").write_text("hello") else None
    short = settled(write_audio(tmp_path / "short.wav", sine(1)))
    for num_decoded in (3, 1):  # what is wrong with the content is remembered, too
        report = build([text, songs[0], short, tmp_path / "none.mp3"])
        assert [(failure.path.name, failure.reason) for failure in report.failures] == [
            ("text.mp3", "not an audio file, or its header is damaged"),
            ("short.wav", "1.0 s long (at least 3 s are needed)"),
            ("none.mp3", "no such file"),
        ]
        assert list(report.entries) == [songs[0]]
        assert report.num_decoded in (num_decoded, 4)


def test_a_reason_of_another_decoder_version_is_not_believed(tmp_path, songs, build):
    store = Store(tmp_path / "cache" / f"v{VERSION}-{RATE}")
    store.write(file_digest(songs[0]), "not liked")
    assert [failure.reason for failure in build(songs[:1]).failures] == ["not liked"]
    [sidecar] = (tmp_path / "cache").rglob("*.json")
    sidecar.write_text(json.dumps({"failure": "not liked", "decoder": "0.0.1"}))
    assert list(build(songs[:1]).entries) == songs[:1]


def test_an_unreadable_file_is_a_failure_and_not_an_end(tmp_path, songs, build):
    (tmp_path / "folder.mp3").mkdir()
    report = build([tmp_path / "folder.mp3", songs[0]])
    assert "a folder" in report.failures[0].reason
    assert list(report.entries) == [songs[0]]


def test_one_content_under_two_names_is_kept_once(tmp_path, songs, build):
    copy = tmp_path / "copy.flac"
    copy.write_bytes(songs[0].read_bytes())
    entries = build([songs[0], copy]).entries
    assert entries[songs[0]] == entries[copy]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 1


def test_a_moved_file_is_not_decoded_again(tmp_path, songs, build):
    before = build(songs)
    files = files_of(tmp_path / "cache" / f"v{VERSION}-{RATE}")
    moved = songs[0].rename(tmp_path / "renamed.flac")
    after = build([moved])
    assert after.entries[moved] == before.entries[songs[0]]
    samples = {path for path in files if path.suffix == ".npy"}
    assert {path: files[path] for path in samples} == {p: p.stat().st_mtime_ns for p in samples}


def test_a_changed_file_is_decoded_anew(songs, build):
    before = build(songs[:1]).entries[songs[0]]
    settled(write_audio(songs[0], noise(5, 99, RATE), RATE))
    after = build(songs[:1]).entries[songs[0]]
    assert after.key != before.key
    assert after.num_samples == 5 * RATE


def test_a_file_of_the_same_size_changed_at_once_is_noticed(tmp_path, build):
    path = write_audio(tmp_path / "a.wav", sine(4, 440))
    stat = path.stat()
    before = build([path]).entries[path]
    write_audio(path, sine(4, 880))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a coarse clock would have it
    assert path.stat().st_size == stat.st_size
    assert build([path]).entries[path].key != before.key


def test_sample_rates_do_not_mix(songs, build):
    low, high = build(songs[:1], sample_rate=4000), build(songs[:1], sample_rate=16000)
    assert low.entries[songs[0]].num_samples == 4 * 4000
    assert high.entries[songs[0]].num_samples == 4 * 16000


DAMAGES = ("bit", "short", "gone", "empty", "header", "sidecar", "no sidecar")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_decoded_anew(songs, build, damage):
    entry = build(songs[:1]).entries[songs[0]]
    good = entry.path.read_bytes()
    sidecar = entry.path.with_suffix(".json")
    if damage == "bit":
        entry.path.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    elif damage == "short":
        entry.path.write_bytes(good[:-2])
    elif damage == "gone":
        entry.path.unlink()
    elif damage == "empty":
        entry.path.write_bytes(b"")
    elif damage == "header":
        entry.path.write_bytes(b"\x00" * len(good))
    elif damage == "sidecar":
        sidecar.write_text("{")
    else:
        sidecar.unlink()
    report = build(songs[:1])
    assert report.num_decoded == 1
    assert report.entries[songs[0]] == entry
    assert entry.path.read_bytes() == good


def test_an_entry_lost_during_a_run_is_told(songs, build):
    entry = build(songs[:1]).entries[songs[0]]
    good = entry.path.read_bytes()
    entry.path.write_bytes(good[:-1000])
    with pytest.raises(DataError, match="run again"):
        entry.read(entry.num_samples - 10)
    entry.path.unlink()
    with pytest.raises(DataError, match="run again"):
        entry.read()


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_index_costs_only_time(tmp_path, songs, build, damage):
    before = build(songs)
    (tmp_path / "cache" / "files.sqlite").write_bytes(damage)
    assert build(songs).entries == before.entries
    assert build(songs).entries == before.entries
    assert build(songs).num_decoded == 0


def test_a_locked_index_is_not_destroyed(tmp_path, songs, build, monkeypatch):
    monkeypatch.setattr("melodai.data.content_index.LOCK_SECONDS", 0.1)
    before = build(songs)
    index = tmp_path / "cache" / "files.sqlite"
    other = sqlite3.connect(index, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert build(songs).entries == before.entries
    other.execute("COMMIT")
    other.close()
    assert build(songs).num_decoded == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path, songs, build):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(MelodaiError, match=r"closed.*--cache-dir"):
        build(songs, cache_dir=closed)


def test_a_cache_folder_that_is_a_file_is_named(tmp_path, songs, build):
    (tmp_path / "file").touch()
    with pytest.raises(MelodaiError, match=r"file.*--cache-dir"):
        build(songs, cache_dir=tmp_path / "file")


SCRIPT = """
import pathlib, sys
from melodai.data.cache import build_cache
from melodai.errors import MelodaiError
from melodai.files import file_digest
folder, cache = map(pathlib.Path, sys.argv[1:])
try:
    report = build_cache(sorted(folder.glob("*.flac")), sample_rate=8000, cache_dir=cache,
                         num_decoders=2, on_progress=lambda *_: print("one", flush=True))
except MelodaiError as error:
    sys.exit(str(error))
print(len(report.entries), len(report.failures), flush=True)
"""


def start(folder, cache, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder), str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_is_told_and_nothing_half_written_is_used(tmp_path, songs, build):
    import resource

    def limit():  # a write beyond 20 kB fails, as on a full disk; a song takes 64 kB
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    builder = start(tmp_path, tmp_path / "cache", preexec_fn=limit)
    _, said = builder.communicate(timeout=60)
    assert builder.returncode == 1
    assert str(tmp_path / "cache") in said
    assert "--cache-dir" in said
    left = list((tmp_path / "cache").rglob("*"))
    assert not [path for path in left if path.suffix in {".npy", ".json"}]
    assert len(build(songs).entries) == 4


@pytest.fixture
def many(tmp_path):
    """40 different files of the same 60 s of sound, so that a build takes a while."""
    data = write_audio(tmp_path / "a.flac", noise(60, 0, 22050), 22050).read_bytes()
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        settled_path = folder / f"{number:02}.flac"
        settled_path.write_bytes(data + b"%d" % number)
        settled(settled_path)
    return folder


def test_a_killed_build_goes_on_where_it_was(tmp_path, many):
    cache = tmp_path / "cache"
    generator = np.random.default_rng(0)
    done = 0
    for _ in range(3):
        builder = start(many, cache)
        builder.stdout.readline()
        time.sleep(generator.uniform(0, 0.3))
        builder.kill()
        builder.communicate()
        time.sleep(0.2)
        complete = len(list(cache.rglob("*.json")))
        assert complete >= done
        done = complete
    assert 0 < done < 40
    report = build_cache(
        sorted(many.glob("*.flac")), sample_rate=8000, cache_dir=cache, num_decoders=2
    )
    assert len(report.entries) == 40
    assert 40 - done - 2 <= report.num_decoded <= 40
    assert all(entry.is_intact() for entry in report.entries.values())


def test_two_builders_at_once_do_not_disturb_each_other(tmp_path, many):
    cache = tmp_path / "cache"
    builders = [start(many, cache) for _ in range(2)]
    for builder in builders:
        told, said = builder.communicate(timeout=120)
        assert said == ""
        assert told.splitlines()[-1] == "40 0"
    store = Store(cache / f"v{VERSION}-8000")
    for path in many.glob("*.flac"):
        assert store.open(file_digest(path)).num_samples == 60 * 8000
    assert not list(cache.rglob("*.tmp"))


def test_what_killed_builders_left_is_removed_in_time(tmp_path, songs, build):
    build(songs)
    shard = next((tmp_path / "cache").rglob("*.npy")).parent
    old, new = shard / "old.npy.1-ab.tmp", shard / "new.npy.1-ab.tmp"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    build(songs)
    assert not old.exists()
    assert new.exists()


def test_memory_of_reading_does_not_grow_with_the_songs(tmp_path, build):
    data = write_audio(tmp_path / "a.flac", noise(30, 0, RATE), RATE).read_bytes()
    songs = [tmp_path / f"{number}.flac" for number in range(30)]
    for number, path in enumerate(songs):
        path.write_bytes(data + b"%d" % number)
    entries = list(build(songs, sample_rate=48000).entries.values())
    tracemalloc.start()
    for entry in entries:
        entry.read(1000, 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_200_000  # of 86 MB, the 2 MB of one segment


def test_the_folder_can_be_chosen_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MELODAI_CACHE", str(tmp_path / "there"))
    assert default_cache_dir() == tmp_path / "there"
    monkeypatch.delenv("MELODAI_CACHE")
    assert default_cache_dir().name == "melodai"


def test_songs_that_nobody_touched_are_not_read_to_see_whether_they_are_whole(
    songs, build, monkeypatch
):
    build(songs[:1])
    monkeypatch.setattr(CachedTrack, "is_intact", lambda self: pytest.fail("it was read"))
    assert build(songs[:1]).num_decoded == 0
