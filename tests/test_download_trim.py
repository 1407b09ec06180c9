import av
import numpy as np
import pytest
import soundfile

from melodai.audio import decode
from melodai.data.decoders import run_jobs
from melodai.errors import AudioError
from melodai_studies.download.trim import WORKER, trim, trim_in_child
from tests.conftest import CODECS, noise, sine, write_audio
from tests.fuzz_audio import clips, mutations

RATE = 22050


def song(path, seconds=12, **options):
    """A file without a suffix, as it comes from the web."""
    rate = 48000 if path.suffix == ".opus" else 44100
    sound = np.stack([noise(seconds, 1, rate), sine(seconds, 440, rate)])
    return write_audio(path, sound, rate, **options).rename(path.with_name("song.part"))


@pytest.mark.parametrize("suffix", [name for name in CODECS if name not in (".flac", ".ogg")])
def test_packets_are_copied_so_that_the_sound_stays_the_same(tmp_path, suffix):
    tags = {"artist": "Motörhead; & more", "title": "Tïtle"}
    source = song(tmp_path / f"a{suffix}", **(tags if suffix not in (".aac", ".aiff") else {}))
    whole = decode(source, RATE)
    trimmed = trim(source, tmp_path / "cut", 8)
    assert trimmed.path == tmp_path / f"cut{suffix}"
    assert trimmed.tags == whole.tags
    cut = decode(trimmed.path, RATE).waveform
    assert len(cut) == pytest.approx(8 * RATE, abs=0.1 * RATE)
    same = 7 * RATE
    assert np.corrcoef(cut[:same], whole.waveform[:same])[0, 1] > 0.9999  # each has its level


def test_a_real_vorbis_file_is_copied_too(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, noise(12), RATE, format="OGG", subtype="VORBIS")
    trimmed = trim(path, tmp_path / "cut", 8)
    assert trimmed.path.suffix == ".ogg"
    same = 7 * RATE
    found, whole = (decode(file, RATE).waveform[:same] for file in (trimmed.path, path))
    assert np.corrcoef(found, whole)[0, 1] > 0.9999


@pytest.mark.parametrize("deep", [False, True])
def test_flac_is_encoded_again_without_a_loss(tmp_path, deep):
    random = np.random.default_rng(0)
    kind, scale, sample_format = (np.int32, 2**31, "s32") if deep else (np.int16, 2**15, "s16")
    samples = (random.uniform(-0.5, 0.5, 12 * RATE) * scale).astype(kind)
    samples &= ~0xFF if deep else ~0  # 24 bits
    source = tmp_path / "song"
    with av.open(str(source), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        stream.codec_context.format = sample_format
        frame = av.AudioFrame.from_ndarray(samples[None], sample_format, "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        container.metadata["artist"] = "A"
    trimmed = trim(source, tmp_path / "cut", 8)
    assert trimmed.path.suffix == ".flac"
    with av.open(str(trimmed.path)) as container:
        found = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert 8 * RATE <= len(found) <= 8.5 * RATE
    assert np.array_equal(found, samples[: len(found)])


def test_a_film_loses_its_pictures_and_keeps_its_sound(tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width = video.height = 32
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(25):
            picture = np.full((32, 32, 3), number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        sound = av.AudioFrame.from_ndarray(sine(5, 440)[None], "fltp", "mono")
        sound.sample_rate = RATE
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))
    trimmed = trim(path, tmp_path / "cut", 60)
    assert trimmed.path.suffix == ".m4a"
    with av.open(str(trimmed.path)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]


def test_what_lies_about_its_time_is_cut_by_its_samples(tmp_path):
    """FFmpeg's own Vorbis encoder writes timestamps that start again."""
    trimmed = trim(song(tmp_path / "a.ogg"), tmp_path / "cut", 8)
    assert trimmed.path.suffix == ".flac"
    assert len(decode(trimmed.path, RATE).waveform) == pytest.approx(8 * RATE, abs=0.1 * RATE)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>" * 1000, "not an audio file"),
        (bytes(10_000), "not an audio file"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "not an audio file"),
    ],
)
def test_what_is_no_audio_is_refused_in_a_child(tmp_path, data, words):
    (tmp_path / "song.part").write_bytes(data)
    with pytest.raises(AudioError, match=words):
        trim_in_child(tmp_path / "song.part", tmp_path / "cut", 8)
    assert [path.name for path in tmp_path.iterdir()] == ["song.part"]


def test_silence_and_snippets_are_refused_and_leave_nothing(tmp_path):
    for sound, words in [(np.zeros(5 * RATE), "silent"), (sine(2), "at least 3 s")]:
        source = write_audio(tmp_path / "song.wav", sound)
        with pytest.raises(AudioError, match=words):
            trim(source, tmp_path / "cut", 8)
        assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_a_child_cuts_as_the_function_does(tmp_path):
    source = song(tmp_path / "a.mp3", artist="A")
    assert trim_in_child(source, tmp_path / "cut", 8) == trim(source, tmp_path / "cut", 8)


def test_broken_files_end_in_a_song_or_a_reason(tmp_path):
    jobs = []
    for number, original in enumerate(clips(tmp_path)):
        for name, data in mutations(original, 6, seed=number):
            path = tmp_path / f"{number}-{name}"
            path.write_bytes(data)
            jobs.append({"source": str(path), "target": f"{path}-cut", "seconds": 3.5})
    # Numbers of bits that FFmpeg knows no decoder for.
    strange = bytearray(write_audio(tmp_path / "bits.wav", sine(5)).read_bytes())
    strange[34:36] = b"\x00\x00"
    (tmp_path / "bits.wav").write_bytes(strange)
    strange_wav = {"source": str(tmp_path / "bits.wav"), "target": str(tmp_path / "bits-cut")}
    jobs.append({**strange_wav, "seconds": 3.5})
    answers = dict(run_jobs(jobs, num_decoders=1, command=WORKER))
    assert len(answers) == len(jobs)
    for position, answer in answers.items():
        assert ("failure" in answer) != ("path" in answer)
        assert "decoder" not in answer.get("failure", ""), jobs[position]
    assert answers[len(jobs) - 1]["failure"] == "there is no audio in it that can be decoded"
