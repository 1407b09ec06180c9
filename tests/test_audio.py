import struct
import subprocess
import sys

import av
import numpy as np
import pytest

from melodai import audio
from melodai.audio import Tags, decode
from melodai.errors import AudioError
from tests.conftest import CODECS, clicks, noise, sine, write_audio

RATE = 22050


def level_of(waveform, frequency_hz, sample_rate=RATE):
    """Amplitude of one frequency, full scale 1."""
    middle = waveform[sample_rate // 2 : -sample_rate // 2] / 32768
    time = np.arange(len(middle)) / sample_rate
    window = np.hanning(len(middle))
    wave = np.exp(-2j * np.pi * frequency_hz * time)
    return 2 * abs(np.sum(middle * window * wave)) / window.sum()


def at_level(samples):
    """As int16 samples are kept, of whatever level the file was."""
    return samples * (16384 / np.abs(samples).max())


def reason(path):
    with pytest.raises(AudioError) as caught:
        decode(path, RATE)
    return str(caught.value)


@pytest.mark.parametrize("suffix", CODECS)
def test_a_tone_survives_every_format(tmp_path, suffix):
    rate = 48000 if suffix == ".opus" else 44100
    path = write_audio(tmp_path / f"tone{suffix}", sine(4, 1000, rate), rate)
    decoded = decode(path, RATE)
    assert decoded.waveform.dtype == np.int16
    assert decoded.waveform.ndim == 1
    assert decoded.sample_rate == RATE
    assert decoded.hearing.words == ""
    # AAC as written here does not say how much of its ends is the encoder's padding.
    assert len(decoded.waveform) / RATE == pytest.approx(4, abs=0.1)
    assert level_of(decoded.waveform, 1000) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a"])
def test_tags_are_found_whatever_the_format(tmp_path, suffix):
    rate = 48000
    tags = dict(artist="Motörhead  & Friends ", album="Alb", title="A tïtle")
    path = write_audio(tmp_path / f"song{suffix}", sine(4, 440, rate), rate, **tags)
    assert decode(path, RATE).tags == ("Motörhead & Friends", "Alb", "A tïtle", None)


def test_a_file_without_tags_has_none(tmp_path):
    assert decode(write_audio(tmp_path / "a.wav", sine(4)), RATE).tags == Tags()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_pitch_and_length_do_not_depend_on_the_sample_rate(tmp_path, rate):
    decoded = decode(write_audio(tmp_path / "a.wav", sine(4, 1000, rate), rate), RATE)
    assert len(decoded.waveform) == pytest.approx(4 * RATE, abs=1)
    assert level_of(decoded.waveform, 1000) == pytest.approx(0.5, rel=0.02)


def test_resampling_keeps_what_fits_and_removes_what_would_fold_back(tmp_path):
    kept = decode(write_audio(tmp_path / "kept.wav", sine(4, 9500, 48000), 48000), RATE)
    assert level_of(kept.waveform, 9500) == pytest.approx(0.5, rel=0.05)
    two = sine(4, 15000, 48000) + sine(4, 440, 48000, level=0.1)
    removed = decode(write_audio(tmp_path / "removed.wav", two, 48000), RATE)
    assert level_of(removed.waveform, RATE - 15000) < 1e-4


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"]
)
def test_sample_types_agree(tmp_path, codec):
    samples = sine(4, 300, RATE)
    decoded = decode(write_audio(tmp_path / "a.wav", samples, RATE, codec=codec), RATE)
    tolerance = 300 if codec == "pcm_u8" else 2
    assert np.abs(decoded.waveform - samples * 32768).max() <= tolerance


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_channels_are_mixed_to_their_mean(tmp_path, channels, suffix):
    samples = np.stack([sine(4, 440, RATE, 0.08 * (n + 1)) for n in range(channels)])
    decoded = decode(write_audio(tmp_path / f"a{suffix}", samples, RATE), RATE)
    assert np.abs(decoded.waveform - at_level(samples.mean(axis=0))).max() <= 8


def test_progress_is_told_every_few_seconds(tmp_path):
    calls = []
    decode(write_audio(tmp_path / "a.wav", sine(60)), RATE, on_progress=lambda: calls.append(1))
    assert len(calls) >= 10


def test_a_sample_rate_that_changes_on_the_way_is_followed(tmp_path):
    first = write_audio(tmp_path / "a.aac", sine(4, 1000, 44100), 44100).read_bytes()
    second = write_audio(tmp_path / "b.aac", sine(4, 1000, 22050), 22050).read_bytes()
    joined = tmp_path / "joined.aac"
    joined.write_bytes(first + second)
    waveform = decode(joined, RATE).waveform
    assert len(waveform) / RATE == pytest.approx(8, abs=0.3)
    assert level_of(waveform[: 4 * RATE], 1000) == pytest.approx(0.5, rel=0.2)
    assert level_of(waveform[-4 * RATE :], 1000) == pytest.approx(0.5, rel=0.2)


def test_a_name_that_looks_like_a_protocol_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "concat:a.wav").write_bytes(write_audio(tmp_path / "a.wav", sine(4)).read_bytes())
    assert len(decode("concat:a.wav", RATE).waveform) == 4 * RATE


def test_names_need_not_be_ascii(tmp_path):
    path = write_audio(tmp_path / "Ünïcode 音楽 %41 #1?.wav", sine(4))
    assert len(decode(path, RATE).waveform) == 4 * RATE


def test_a_cover_picture_does_not_disturb(tmp_path):
    path = tmp_path / "a.mp3"
    sound = write_audio(tmp_path / "plain.mp3", sine(4)).read_bytes()
    picture = b"\x00image/png\x00\x03\x00" + b"\x89PNG\r\n\x1a\n" + bytes(5000)
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\x00\x00" + picture
    size = len(frame)
    coded = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\x00\x00" + coded + frame + sound)
    assert len(decode(path, RATE).waveform) / RATE == pytest.approx(4, abs=0.1)


def test_missing_empty_and_folders_are_refused(tmp_path):
    assert reason(tmp_path / "none.mp3") == "no such file"
    assert reason(tmp_path) == "a folder, not a file"
    (tmp_path / "empty.mp3").touch()
    assert reason(tmp_path / "empty.mp3") == "the file is empty"


@pytest.mark.parametrize(
    "content",
    [
        b"This is a text, not a song.\n" * 500,
        b"\x00" * 100_000,
        bytes(np.random.default_rng(0).integers(0, 256, 200_000, np.uint8)),
        b"ID3\x03\x00\x00\x00\x00\x00\x00",
        b"RIFF\xff\xff\xff\xffWAVE",
        b"fLaC",
        b"OggS" + bytes(200),
        b"<html><body>404 Not Found</body></html>",
    ],
    ids=["text", "zeros", "random", "id3", "riff", "flac", "ogg", "html"],
)
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m4a"])
def test_what_is_not_audio_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert len(reason(path)) < 90


@pytest.mark.parametrize("kind", ["m3u8", "concat", "ffconcat", "pls", "dash", "sdp"])
def test_a_playlist_in_disguise_does_not_open_other_files(tmp_path, kind):
    secret = write_audio(tmp_path / "secret.wav", sine(10))
    texts = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"file '{secret}'\n",
        "ffconcat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "pls": f"[playlist]\nFile1={secret}\nNumberOfEntries=1\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
        f"<AdaptationSet><Representation><BaseURL>{secret}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    }
    path = tmp_path / "song.mp3"
    path.write_text(texts[kind])
    assert reason(path) == "not an audio file, or its header is damaged"


def test_the_playlist_test_would_notice_an_open_door(tmp_path):
    # Without the list of demuxers FFmpeg does follow such a script.
    write_audio(tmp_path / "secret.wav", sine(4))
    path = tmp_path / "song.mp3"
    path.write_text("ffconcat version 1.0\nfile secret.wav\n")
    with av.open(str(path)) as container:
        assert container.format.name == "concat"


def wav_header(*, channels=1, rate=22050, bits=16, data_bytes=0, format_code=1):
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", format_code, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    return (
        b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVEfmt " + struct.pack("<I", 16) + form
        + b"data" + struct.pack("<I", data_bytes)
    )  # fmt: skip


def pcm(samples):
    return (samples * 32767).astype("<i2").tobytes()


def test_a_header_that_promises_gigabytes_costs_none(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(data_bytes=0xFFFFFFF0) + pcm(sine(4)))
    code = f"""
import resource
from melodai.audio import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert len(decode({str(path)!r}, 22050).waveform) == {4 * RATE}
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "header",
    [
        dict(rate=4_000_000_000),
        dict(rate=1_000_000),
        dict(rate=0),
        dict(rate=10),
        dict(channels=65535),
        dict(channels=0),
        dict(channels=200),
        dict(bits=0),
    ],
    ids=str,
)
def test_absurd_headers_are_refused(tmp_path, header):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(data_bytes=1 << 20, **header) + pcm(sine(20)))
    assert len(reason(path)) < 100


def test_nan_and_infinity_are_refused(tmp_path):
    for number, value in enumerate((np.nan, np.inf, -np.inf)):
        samples = sine(10)
        samples[100_000] = value
        path = tmp_path / f"{number}.wav"
        header = wav_header(bits=32, format_code=3, data_bytes=samples.nbytes)
        path.write_bytes(header + samples.astype("<f4").tobytes())
        assert reason(path) == "it holds samples that are not finite numbers"


@pytest.mark.parametrize("level", [2e-3, 0.5, 30, 32768, 2.0**31])
def test_the_level_of_a_file_does_not_matter(tmp_path, level):
    kept = [
        decode(write_audio(tmp_path / "a.wav", noise(5) * gain, codec="pcm_f32le"), RATE).waveform
        for gain in (1, level)
    ]
    assert np.abs(kept[0].astype(int) - kept[1]).max() <= 1
    assert 16000 < np.abs(kept[0].astype(int)).max() < 17000


def test_an_offset_is_taken_away_also_one_that_drifts(tmp_path):
    samples = noise(20, level=0.05)
    drift = np.linspace(-0.4, 0.4, len(samples)) + 0.3
    for number, offset in enumerate((0.4, drift)):
        path = write_audio(tmp_path / f"{number}.wav", samples + offset, RATE, codec="pcm_f32le")
        waveform = decode(path, RATE).waveform
        assert np.corrcoef(waveform, samples)[0, 1] > 0.999
        assert abs(waveform.mean()) < 0.002 * np.abs(waveform).max()


def test_silence_is_refused_and_a_quiet_song_is_not(tmp_path):
    silent = "silent (below -75 dBFS)"
    assert reason(write_audio(tmp_path / "zero.wav", np.zeros(5 * RATE))) == silent
    faint = write_audio(tmp_path / "faint.wav", sine(5, level=0.0002), codec="pcm_f32le")
    assert reason(faint) == silent
    assert reason(write_audio(tmp_path / "offset.wav", np.full(5 * RATE, 0.5))) == silent
    assert len(decode(write_audio(tmp_path / "quiet.wav", sine(5, level=0.002)), RATE).waveform)
    click = clicks(20, [10.0])
    assert reason(write_audio(tmp_path / "click.wav", click)).startswith(silent + " but for 0.1 s")
    assert "but for 2." in reason(
        write_audio(tmp_path / "brief.wav", np.concatenate([noise(2.5), np.zeros(9 * RATE)]))
    )


def test_less_than_three_seconds_is_refused(tmp_path):
    assert "2.9 s long" in reason(write_audio(tmp_path / "short.wav", sine(2.9)))
    assert len(decode(write_audio(tmp_path / "enough.wav", sine(3.0)), RATE).waveform) == 3 * RATE


def test_what_is_too_long_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(audio.reader, "MAX_SECONDS", 10.0)
    calls = []
    path = write_audio(tmp_path / "a.flac", noise(120))
    with pytest.raises(AudioError, match="longer than"):
        decode(path, RATE, on_progress=lambda: calls.append(1))
    assert len(calls) < 10


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".aac", ".wav"])
def test_a_file_that_was_cut_off_is_used_as_far_as_it_goes(tmp_path, suffix):
    rate = 48000
    whole = write_audio(tmp_path / f"whole{suffix}", noise(20, 0, rate), rate).read_bytes()
    path = tmp_path / f"half{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    assert 8 < len(decode(path, RATE).waveform) / RATE < 12


def test_an_m4a_without_its_index_is_refused(tmp_path):
    whole = write_audio(tmp_path / "whole.m4a", noise(20)).read_bytes()
    path = tmp_path / "half.m4a"
    path.write_bytes(whole[: len(whole) // 2])
    assert reason(path) == "not an audio file, or its header is damaged"


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".aac"])
def test_a_damaged_place_is_left_out_and_counted(tmp_path, suffix):
    data = bytearray(write_audio(tmp_path / f"a{suffix}", noise(30), RATE).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path = tmp_path / f"b{suffix}"
    path.write_bytes(data)
    decoded = decode(path, RATE)
    assert 27 < len(decoded.waveform) / RATE < 31


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".aac", ".m4a"])
def test_a_file_damaged_all_over_is_refused(tmp_path, suffix):
    data = bytearray(write_audio(tmp_path / f"a{suffix}", noise(30, 0, 48000), 48000).read_bytes())
    for position in range(10_000, len(data) - 2000, 2500):
        data[position : position + 2000] = bytes(2000)
    path = tmp_path / f"b{suffix}"
    path.write_bytes(data)
    assert reason(path)


def test_too_many_damaged_packets_are_told(tmp_path):
    data = bytearray(write_audio(tmp_path / "a.aac", noise(30, 0, 48000), 48000).read_bytes())
    for position in range(10_000, len(data) - 2000, 2500):
        data[position : position + 1000] = bytes(1000)
    path = tmp_path / "b.aac"
    path.write_bytes(data)
    assert reason(path).startswith("damaged: ")


def test_garbage_at_random_places_never_raises_anything_else(tmp_path):
    generator = np.random.default_rng(1)
    for suffix in (".mp3", ".flac", ".ogg", ".m4a", ".wav", ".aiff"):
        whole = write_audio(tmp_path / f"a{suffix}", noise(4, 0, 44100), 44100).read_bytes()
        for number in range(12):
            data = bytearray(whole)
            for position in generator.integers(0, 300 if number % 2 else len(data), 20):
                data[position] = generator.integers(256)
            path = tmp_path / f"b{number}{suffix}"
            path.write_bytes(data)
            try:
                assert decode(path, RATE).waveform.dtype == np.int16
            except AudioError as error:
                assert len(str(error)) < 120


def test_a_file_read_piece_by_piece_is_the_file_read_whole(tmp_path):
    path = write_audio(tmp_path / "song.mp3", noise(20), RATE, title="A title")
    reader = audio.SongReader(path, 16000)
    pieces = list(reader)
    assert len(pieces) > 3
    plan, _ = reader.plan()
    assert np.array_equal(np.concatenate([*plan.apply(pieces)]), decode(path, 16000).waveform)
    assert reader.tags.title == "A title"


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_samples_at_hand_are_treated_like_those_of_a_file(tmp_path, channels):
    samples = (
        sine(4, 500, 44100) if channels is None else np.stack([sine(4, 500, 44100)] * channels)
    )
    path = write_audio(tmp_path / "a.wav", samples, 44100, codec="pcm_f32le")
    waveform, _ = audio.from_samples(samples, 44100, RATE)
    expected = decode(path, RATE).waveform
    assert len(waveform) == len(expected)
    assert np.abs(waveform.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(44100), "silent"),
        (np.full(44100, np.nan), "not finite"),
        (noise(1), "1.0 s long"),
        (np.zeros(0), "no samples"),
        (np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_samples_that_are_no_song_are_refused(samples, words):
    with pytest.raises(AudioError, match=words):
        audio.from_samples(samples, 8000 if len(samples) > 30000 else RATE, 8000)
