"""Moods go into the tags of every format, nothing else changes, and all can be had back."""

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import av
import mutagen
import pytest
from mutagen.apev2 import APEv2, APEv2File
from mutagen.id3 import APIC, COMM, ID3, TIT2, TMOO, TXXX, TYER
from mutagen.mp4 import MP4FreeForm

from melodai.errors import DataError
from melodai.predict.mood_tag import read_tags
from melodai.predict.safe_replace import PREFIX, sound_digest
from melodai.predict.tags import undo, write_moods
from tests.conftest import sine, write_audio

FORMATS = {
    ".mp3": None, ".flac": None, ".ogg": None, ".opus": None, ".wav": None, ".aiff": None,
    ".m4a": None, ".mp4": "aac", ".wma": "wmav2", ".wv": "wavpack", ".tta": "tta",
}  # fmt: skip
KEYS = {
    ".flac": "mood", ".ogg": "mood", ".opus": "mood", ".m4a": "----:com.apple.iTunes:MOOD",
    ".mp4": "----:com.apple.iTunes:MOOD", ".wma": "WM/Mood", ".wv": "Mood",
    ".tta": "Mood",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One file of each format."""
    folder = tmp_path_factory.mktemp("made")
    for suffix, codec in FORMATS.items():
        rate = 48000 if suffix == ".opus" else 44100
        write_audio(
            folder / f"song{suffix}", sine(1.0, sample_rate=rate), rate, codec=codec,
            bit_rate=64000 if suffix == ".wma" else None, artist="Ann", title="Söng",
        )  # fmt: skip
    return folder


@pytest.fixture
def song(made, tmp_path):
    def copy(name="song.mp3", suffix=None):
        suffix = suffix or Path(name).suffix
        (tmp_path / "music").mkdir(exist_ok=True)
        return Path(shutil.copy(made / f"song{suffix}", tmp_path / "music" / name))

    return copy


def tag(undo_file, *answers, dry_run=False):
    return write_moods(iter(answers), undo_file=undo_file, dry_run=dry_run)


def bytes_of(folder):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def moods_seen_by_ffmpeg(path):
    with av.open(str(path)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
    return [value for key, value in found.items() if key.casefold() in {"tmoo", "mood", "wm/mood"}]


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_mood_is_read_by_others_the_rest_stays_and_undo_is_exact(suffix, song, tmp_path):
    path = song(f"song{suffix}")
    before, sound, others = bytes_of(path.parent), sound_digest(path), read_tags(path).others
    report = tag(tmp_path / "undo", (path, "calm"))
    assert not report.skipped and report.changes[0].before is None
    # FFmpeg gives a .tta file an APE tag, which is gone on with.
    file = APEv2File(path) if suffix == ".tta" else mutagen.File(path)
    value = file.tags[KEYS.get(suffix, "TMOO")]
    text = value[0].decode() if isinstance(value[0], bytes) else str(value[0])
    assert text == "calm"
    assert moods_seen_by_ffmpeg(path) == ["calm"]
    assert sound_digest(path) == sound and read_tags(path).others == others
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 40000
    assert len(undo(tmp_path / "undo").changes) == 1
    assert bytes_of(path.parent) == before


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".wav"])
def test_ffprobe_reads_the_mood(suffix, song, tmp_path):
    path = song(f"song{suffix}")
    tag(tmp_path / "undo", (path, "calm"))
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    tags = [found["format"].get("tags", {}), *(s.get("tags", {}) for s in found["streams"])]
    assert "calm" in [value for values in tags for value in values.values()]


def test_a_dry_run_says_all_and_changes_nothing(song, tmp_path):
    answers = [(song(f"song{suffix}"), "calm") for suffix in FORMATS]
    (tmp_path / "music" / "empty.mp3").touch()
    before = bytes_of(tmp_path)
    report = tag(tmp_path / "undo", *answers, (tmp_path / "music" / "empty.mp3", "calm"),
                 dry_run=True)  # fmt: skip
    assert report.is_dry_run and report.undo_file is None
    assert [(change.path, change.after) for change in report.changes] == [
        (path, ("calm",)) for path, _ in answers
    ]
    assert [failure.reason for failure in report.skipped] == ["the file is empty"]
    assert bytes_of(tmp_path) == before


def test_a_mood_of_before_comes_back_however_often_it_was_replaced(song, tmp_path):
    path = song()
    file = mutagen.File(path)
    file.tags.add(TMOO(encoding=3, text=["heiter", "bewegt"]))
    file.save()
    before = bytes_of(path.parent)
    for mood in ("calm", "wild", "calm"):
        assert len(tag(tmp_path / "undo", (path, mood)).changes) == 1
    assert tag(tmp_path / "undo", (path, "calm")).num_unchanged == 1
    (change,) = undo(tmp_path / "undo").changes
    assert (change.before, change.after) == (("calm",), ("heiter", "bewegt"))
    assert bytes_of(path.parent) == before
    again = undo(tmp_path / "undo")
    assert not again.changes and again.num_unchanged == 1


def test_an_old_tag_keeps_its_version_and_all_its_frames(song, tmp_path):
    path = song()
    ID3(path).delete(path)
    old = ID3()
    for frame in (
        TIT2(encoding=1, text="Müsik"), TYER(encoding=0, text="1999"),
        COMM(encoding=0, lang="eng", desc="", text="nice"), TXXX(encoding=0, desc="a", text="b/c"),
        APIC(encoding=0, mime="image/png", type=3, desc="", data=os.urandom(200_000)),
    ):  # fmt: skip
        old.add(frame)
    old.save(path, v2_version=3, v1=2, padding=lambda info: 0)
    content = path.read_bytes()
    tag(tmp_path / "undo", (path, "calm"))
    new = ID3(path, translate=False, load_v1=False)
    assert new.version == (2, 3, 0) and set(new) == {*old, "TMOO"}
    assert new["APIC:"].data == old["APIC:"].data and new["TYER"].text == ["1999"]
    assert path.read_bytes()[-128:] == content[-128:]
    # A grown tag moves the whole file; what is kept to undo it is small all the same.
    assert (tmp_path / "undo").stat().st_size < 4000
    undo(tmp_path / "undo")
    assert path.read_bytes() == content


def test_a_frame_of_another_version_stays_as_it_is(song, tmp_path):
    path = song()
    old = ID3(path)
    old.add(TYER(encoding=0, text="1999"))  # of 2.3, in a tag of 2.4
    old.save(path)
    tag(tmp_path / "undo", (path, "calm"))
    assert ID3(path, translate=False)["TYER"].text == ["1999"]


def test_the_oldest_tag_becomes_one_that_knows_moods_and_comes_back(song, tmp_path):
    path = song()
    ID3(path).delete(path)
    frame = b"TT2\x00\x00\x05\x00Rain" + b"TP1\x00\x00\x04\x00Ann"
    header = b"ID3\x02\x00\x00\x00\x00\x00" + bytes([len(frame) + 20])
    content = header + frame + bytes(20) + path.read_bytes()
    path.write_bytes(content)
    assert not tag(tmp_path / "undo", (path, "calm")).skipped
    new = ID3(path)
    assert (str(new["TIT2"]), str(new["TPE1"]), str(new["TMOO"])) == ("Rain", "Ann", "calm")
    undo(tmp_path / "undo")
    assert path.read_bytes() == content


def of_id3(version, **frames):
    def write(path):
        ID3(path).delete(path)
        tags = ID3()
        tags.add(TIT2(encoding=1, text="Söng"))
        for frame in frames.values():
            tags.add(frame)
        tags.save(path, v2_version=version)

    return write


def of_ape(path):
    tags = APEv2()
    tags["MOOD"], tags["Genre"] = ["Sad", "Slow"], "Folk"
    tags.save(path)
    with path.open("ab") as file:
        file.write(b"TAG" + b"old".ljust(125, b"\0"))


def of_ape_alone(path):
    ID3(path).delete(path)
    of_ape(path)


def of_values(*values):
    def write(path):
        file = mutagen.File(path)
        if file.tags is None:
            file.add_tags()
            file.tags.add(TIT2(encoding=3, text="Söng"))
        for key, value in values:
            file.tags[key] = value
        file.save()

    return write


def of_vorbis(path):
    file = mutagen.File(path)
    for name in ("MOOD=Sad", "mood=Slow", "Mood=Sad", "MOODY=1", "GENRE=Folk"):
        file.tags.append(tuple(name.split("=")))
    file.save()


def of_flac_with_id3(path):
    of_vorbis(path)
    tags = ID3()
    tags.add(TMOO(encoding=3, text="Dark"))
    tags.add(TIT2(encoding=3, text="Söng"))
    tags.save(path)


FREE = MP4FreeForm(b"Sad")
ELSEWHERE = {
    "2.3 TXXX": (".mp3", of_id3(3, a=TXXX(encoding=1, desc="MOOD", text="Happy"))),
    "2.3 both": (
        ".mp3", of_id3(3, a=TXXX(encoding=0, desc="Mood", text="Happy"), b=TMOO(text=["Sad"]))
    ),
    "2.4 TXXX": (".aiff", of_values(("TXXX:mood", TXXX(encoding=3, desc="mood", text=["a", "b"])))),
    "2.4 both": (
        ".mp3", of_id3(4, a=TXXX(encoding=3, desc="MOOD", text="Happy"), b=TMOO(text=["a", "b"]))
    ),
    "APE beside ID3": (".mp3", of_ape), "APE alone": (".mp3", of_ape_alone),
    "Vorbis": (".opus", of_vorbis), "Vorbis and ID3": (".flac", of_flac_with_id3),
    "MP4": (".m4a", of_values(
        ("----:org.foo:Mood", [FREE]), ("----:com.apple.iTunes:mood", [FREE, FREE]),
        ("©moo", ["Sad"]), ("----:com.apple.iTunes:MOODS", [FREE]),
    )),
    "ASF": (".wma", of_values(("WM/MOOD", "Sad"), ("Mood", "Slow"), ("WM/Moods", "x"))),
}  # fmt: skip


def all_moods(path):
    """Of all tags that are in a file, whatever its kind."""
    found = []
    for kind in (mutagen.File, ID3, APEv2):
        try:
            tags = kind(path)
        except mutagen.MutagenError:
            continue
        for key, value in dict(tags).items():
            if re.fullmatch(r"(.*[:/©])?t?moo(d)?", key, re.IGNORECASE):
                found += [getattr(value, "text", value)]
    return {str(texts) for texts in found}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_file_has_one_mood_wherever_it_had_others(case, song, tmp_path):
    suffix, write = ELSEWHERE[case]
    path = song(f"song{suffix}")
    write(path)
    before, others = bytes_of(path.parent), read_tags(path).others
    (change,) = tag(tmp_path / "undo", (path, "calm")).changes
    assert change.before and "calm" not in change.before
    assert len(moods := all_moods(path)) == 1 and "calm" in moods.pop()
    assert read_tags(path) == (("calm",), others) and others
    if case != "APE alone":  # which FFmpeg does not look for before an ID3v1 tag
        assert moods_seen_by_ffmpeg(path) == ["calm"]
    if case.startswith("2.3"):
        assert "TMOO" not in ID3(path, translate=False) and ID3(path).version == (2, 3, 0)
    if "APE" in case:
        assert path.read_bytes()[-128:].startswith(b"TAGold")
    undo(tmp_path / "undo")
    assert bytes_of(path.parent) == before


def test_what_a_tag_at_the_end_says_is_not_hidden(song, tmp_path):
    path = song()
    ID3(path).save(path, v1=2)
    ID3(path).delete(path, delete_v1=False)
    content = path.read_bytes()
    assert content[-128:-125] == b"TAG" and not content.startswith(b"ID3")
    tag(tmp_path / "undo", (path, "calm"))
    assert str(ID3(path, load_v1=False)["TPE1"]) == "Ann" and path.read_bytes()[-128:-125] == b"TAG"
    undo(tmp_path / "undo")
    assert path.read_bytes() == content


def test_an_ogg_file_of_many_pages_is_undone_exactly(tmp_path):
    path = write_audio(tmp_path / "long.opus", sine(60, sample_rate=48000), 48000)
    content = path.read_bytes()
    tag(tmp_path / "undo", (path, "calm" * 30_000))  # more than a page: all others move up
    assert path.read_bytes() != content
    undo(tmp_path / "undo")
    assert path.read_bytes() == content


def test_what_others_changed_since_is_respected(song, tmp_path):
    title, mood, gone = song("title.mp3"), song("mood.flac"), song("gone.m4a")
    tag(tmp_path / "undo", *((path, "calm") for path in (title, mood, gone)))
    file = mutagen.File(title)
    file.tags["TIT2"] = TIT2(encoding=3, text="New title")
    file.save()
    file = mutagen.File(mood)
    file["MOOD"] = "better"
    file.save()
    gone.unlink()
    report = undo(tmp_path / "undo")
    assert [change.path for change in report.changes] == [title]
    assert "TMOO" not in mutagen.File(title).tags
    assert str(mutagen.File(title).tags["TIT2"]) == "New title"
    assert mutagen.File(mood)["MOOD"] == ["better"]
    reasons = {failure.path: failure.reason for failure in report.skipped}
    assert reasons == {
        mood: "it was changed since, and now has the mood better", gone: "no such file",
    }  # fmt: skip


def test_what_cannot_be_tagged_is_left_alone_with_a_reason_each(song, tmp_path):
    folder = tmp_path / "music"
    linked = song("linked.mp3")
    os.link(linked, folder / "twice.mp3")
    read_only = song("only.mp3")
    read_only.chmod(0o444)
    (folder / "empty.mp3").touch()
    (folder / "noise.mp3").write_bytes(random.Random(0).randbytes(5000))
    short = song("cut.m4a")
    short.write_bytes(short.read_bytes()[:200])
    other = {
        ".aac": (None, "has no tags"), ".caf": ("pcm_s16le", "cannot be written"),
        ".webm": ("libopus", "cannot be written"),
    }  # fmt: skip
    for suffix, (codec, _) in other.items():
        write_audio(folder / f"a{suffix}", sine(1, sample_rate=48000), 48000, codec=codec)
    last = song("last.flac")
    names = ["linked", "only", "empty", "noise", "missing"]
    paths = [folder / f"{name}.mp3" for name in names] + [short]
    paths += [folder / f"a{suffix}" for suffix in other]
    before = bytes_of(folder)
    report = tag(tmp_path / "undo", *((path, "calm") for path in (*paths, folder, last)))
    reasons = [failure.reason for failure in report.skipped]
    expected = [
        "hard link", "read-only", "is empty", "", "no such file", "",
        *(words for _, words in other.values()), "not a file",
    ]  # fmt: skip
    assert len(reasons) == len(expected)
    assert all(words in reason for words, reason in zip(expected, reasons, strict=True)), reasons
    assert [change.path for change in report.changes] == [last]
    undo(tmp_path / "undo")
    assert bytes_of(folder) == before


def test_a_link_stays_a_link_and_mode_and_attributes_stay(song, tmp_path):
    path = song()
    path.chmod(0o640)
    link = tmp_path / "link.mp3"
    link.symlink_to(path)
    tag(tmp_path / "undo", (link, "calm"), (path, "calm"))
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert str(ID3(path)["TMOO"]) == "calm"


@pytest.mark.skipif(sys.platform == "win32", reason="names there are text, not bytes")
def test_names_of_any_kind_can_be_undone(song, tmp_path):
    names = ["two\nlines.mp3", '"=q".mp3', os.fsdecode(b"caf\xe9.mp3"), f"{'x' * 250}.mp3"]
    paths = [song(name) for name in names]
    before = bytes_of(tmp_path)
    assert len(tag(tmp_path / "undo", *((path, "calm") for path in paths)).changes) == len(names)
    assert len(undo(tmp_path / "undo").changes) == len(names)
    (tmp_path / "undo").unlink()
    assert bytes_of(tmp_path) == before


def test_a_full_disk_leaves_the_files_and_names_them(song, tmp_path):
    paths = [song("big.flac"), song("small.m4a")]
    before = bytes_of(tmp_path / "music")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # writing beyond fails
    try:
        report = tag(tmp_path / "undo", *((path, "calm") for path in paths))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ["could not be written" in failure.reason for failure in report.skipped] == [True, True]
    assert bytes_of(tmp_path / "music") == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full to play a full disk")
def test_without_an_undo_file_nothing_is_written(song, tmp_path):
    path = song()
    before = bytes_of(path.parent)
    report = tag(tmp_path / "music" / "song.mp3" / "undo", (path, "calm"))
    assert "undo file" in report.skipped[0].reason
    assert bytes_of(path.parent) == before
    (tmp_path / "mine").write_text("my notes\n")
    with pytest.raises(DataError, match="is no undo file"):
        tag(tmp_path / "mine", (path, "calm"))
    with pytest.raises(DataError, match="is no undo file"):
        undo(tmp_path / "mine")
    with pytest.raises(DataError, match="cannot be read"):
        undo(tmp_path / "nothing")
    assert (tmp_path / "mine").read_text() == "my notes\n"


WRITER = """
import sys
from pathlib import Path
from melodai.predict.tags import undo, write_moods
folder, log = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
for round in range(1000):
    songs = [(path, ("calm", "wild")[round % 2]) for path in sorted(folder.glob("song*"))]
    write_moods(songs, undo_file=log, dry_run=False)
    if round % 4 == 3:
        undo(log)
"""


def test_a_kill_at_any_moment_leaves_whole_files_that_can_be_undone(song, tmp_path):
    paths = [song(f"song{suffix}") for suffix in FORMATS]
    before, sounds = bytes_of(tmp_path / "music"), [sound_digest(path) for path in paths]
    log = tmp_path / "undo"
    for delay in (0.03, 0.11, 0.25, 0.4):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "music"), str(log)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
        assert [sound_digest(path) for path in paths] == sounds
    assert log.stat().st_size
    with log.open("ab") as file:
        file.write(b'{"file": "half')
    assert not undo(log).skipped
    left = [path for path in (tmp_path / "music").iterdir() if path.name.startswith(PREFIX)]
    for path in left:
        path.unlink()
    assert bytes_of(tmp_path / "music") == before
    tag(log, (paths[0], "calm"))
    undo(log)
    assert bytes_of(tmp_path / "music") == before


def test_copies_that_a_kill_left_are_removed_later(song, tmp_path, monkeypatch):
    path = song()
    left = tmp_path / "music" / f"{PREFIX}x.mp3"
    left.touch()
    tag(tmp_path / "undo", (path, "calm"))
    assert left.exists()  # another process may be at it
    monkeypatch.setattr("melodai.predict.safe_replace.ABANDONED_SECONDS", -1.0)
    tag(tmp_path / "undo", (path, "wild"))
    assert not left.exists()
