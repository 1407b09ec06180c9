"""What is said to carry an answer does carry it: a tone in noise, heard by a model of one band."""

import json

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from torch import nn

from melodai.bundle import ModelBundle, load_bundle
from melodai.config import Config
from melodai.errors import SettingError
from melodai.explain.contributions import log_odds, rebin, strongest
from melodai.explain.gradients import integrated_gradients
from melodai.explain.picture import song_figure
from melodai.explain.song import explain_song, strongest_spans, to_json
from melodai.explain.window import explain_window
from melodai.models.base import Encoder, MoodModel
from melodai.transforms.mel import LogMel
from tests.runs import make_run
from tests.songs import melodai as command
from tests.songs import write_wav

RATE, SECONDS = 22050, 6.0
TONE_HZ, TONE_SECONDS = 1500.0, (2.0, 3.0)


class OneBand(Encoder):
    """Its logit is the mean of the rows around the tone, which stand for levels there."""

    embedding_size = 1

    def __init__(self, rows: slice) -> None:
        super().__init__()
        self.rows = rows
        self.classifier = nn.Linear(1, 2)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.tensor([[20.0], [0.0]]))
            self.classifier.bias.zero_()

    def embed(self, features):
        return features[:, 0, self.rows].mean((1, 2))[:, None]


class NoAxes(nn.Module):
    """A front end that does not say where its features lie."""

    def __init__(self, frontend):
        super().__init__()
        self.inner = frontend

    def forward(self, waveform, num_samples=None, draw=None):
        return self.inner(waveform, num_samples)


def make_bundle(*, has_axes: bool = True, segment_seconds=SECONDS) -> ModelBundle:
    frontend = LogMel(sample_rate=RATE, image_size=64)
    hz = frontend.axes(round(SECONDS * RATE)).hz
    row = int(np.searchsorted(hz, TONE_HZ)) - 1
    model = MoodModel(
        frontend=frontend if has_axes else NoAxes(frontend),
        encoder=OneBand(slice(row - 1, row + 2)), moods=("tone", "none"), sample_rate=RATE,
    )  # fmt: skip
    return ModelBundle(
        model=model.eval(), config=Config(), segment_seconds=segment_seconds, pooling="mean",
        temperature=1.0, segment_temperature=1.0, is_calibrated=True, references=None,
        about={"arch": "one band"}, scores={}, source="here",
    )  # fmt: skip


def tone_in_noise(seconds: float = SECONDS, at=TONE_SECONDS) -> np.ndarray:
    """int16; nothing at all in the first second."""
    time = np.arange(round(seconds * RATE)) / RATE
    waveform = 0.0005 * np.random.default_rng(0).standard_normal(len(time))
    inside = (time >= at[0]) & (time < at[1])
    waveform += 0.5 * np.sin(2 * np.pi * TONE_HZ * time) * inside
    waveform[time < 1.0] = 0
    return (32767 * waveform).astype(np.int16)


def share_inside(values, edges, low, high):
    inside = (edges[1:] > low) & (edges[:-1] < high)
    return values[inside].clip(0).sum() / values.clip(0).sum()


@pytest.mark.parametrize("method", ["gradients", "occlusion"])
def test_it_points_to_the_band_and_the_seconds_of_the_tone(method):
    found = explain_song(make_bundle(), tone_in_noise(), mood="tone", method=method)
    parts = found.contributions
    assert share_inside(parts.over_hz, parts.hz, TONE_HZ, TONE_HZ) > 0.95
    assert share_inside(parts.over_seconds, parts.seconds, 1.8, 3.2) > 0.5
    longest = strongest_spans(found)["seconds"][0]
    assert longest.start <= TONE_SECONDS[0] + 0.3 and longest.stop >= TONE_SECONDS[1] - 0.3
    assert strongest_spans(found)["hz"][0].start < TONE_HZ < strongest_spans(found)["hz"][0].stop


def test_of_a_model_without_axes_the_waveform_is_taken_apart():
    found = explain_song(make_bundle(has_axes=False), tone_in_noise(), mood="tone")
    parts = found.contributions
    assert found.windows[0][2].method == "occlusion"
    band = int(parts.over_hz.argmax())
    assert parts.hz[band] < TONE_HZ < parts.hz[band + 1]
    column = int(parts.values[band].argmax())
    assert parts.seconds[column] < 3.0 and parts.seconds[column + 1] > 2.0
    with pytest.raises(SettingError, match="--method occlusion"):
        explain_song(make_bundle(has_axes=False), tone_in_noise(), method="gradients")


def test_the_contributions_add_up_to_the_change_of_the_logit():
    bundle = make_bundle()
    waveform = torch.from_numpy(tone_in_noise())[None].float() / 32768
    why = explain_window(bundle.model, waveform, 0, temperature=2.0)
    with torch.inference_mode():
        ends = bundle.model(torch.cat([waveform, torch.zeros_like(waveform)]))
    odds = (ends[:, 0] - ends[:, 1]) / 2.0  # of two moods
    assert (why.logit, why.baseline_logit) == pytest.approx(odds.tolist(), rel=1e-5)
    change = why.logit - why.baseline_logit
    assert why.contributions.values.sum() == pytest.approx(change, rel=0.01)
    assert why.is_complete and why.error < 0.01


def test_silence_changes_nothing():
    parts = explain_song(make_bundle(), tone_in_noise(), mood="tone").contributions
    silent = parts.seconds[1:] <= 0.9
    assert silent.any() and np.abs(parts.values[:, silent]).max() == 0


def test_the_path_is_refined_until_the_sum_fits():
    def kinked(x):  # flat, then steep: a coarse path misses where it starts
        return (x.sum((1, 2, 3)) - 0.93).clamp(min=0) ** 2

    features, baseline = torch.full((1, 1, 2, 2), 0.25), torch.zeros(1, 1, 2, 2)
    found = integrated_gradients(kinked, features, baseline)
    assert found.num_steps > 16 and found.error < 0.01
    coarse = integrated_gradients(kinked, features, baseline, most_steps=16)
    assert coarse.num_steps == 16 and coarse.error > found.error


def test_a_song_shorter_than_the_window_is_explained_on_its_own_time():
    short = tone_in_noise(3.5, at=(2.0, 3.0))
    found = explain_song(make_bundle(segment_seconds=7.0), short, mood="tone")
    parts = found.contributions
    assert parts.seconds[-1] == pytest.approx(3.5)
    why = found.windows[0][2]
    assert parts.values.sum() == pytest.approx(why.logit - why.baseline_logit, rel=0.02)
    assert share_inside(parts.over_seconds, parts.seconds, 1.8, 3.2) > 0.5


def test_windows_of_a_long_song_are_laid_over_each_other():
    song = tone_in_noise(7.0, at=(3.2, 3.8))
    found = explain_song(make_bundle(segment_seconds=4.0), song, mood="tone")
    assert [start for start, _, _ in found.windows] == pytest.approx([0, 3])
    parts = found.contributions
    assert share_inside(parts.over_seconds, parts.seconds, 3, 4) > 0.5
    assert parts.seconds[-1] == pytest.approx(7)


def test_log_odds_are_those_of_the_calibrated_probability():
    logits, temperature = torch.randn(5, 3), 1.7
    p = (logits.double() / temperature).softmax(1)[:, 1]
    expected = (p / (1 - p)).log().float()
    assert torch.allclose(log_odds(logits, 1, temperature), expected, atol=1e-5)


def test_cells_are_shared_out_by_their_overlap():
    moved = rebin(np.array([[2.0, 4.0]]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 2.0, 9.0]))
    assert moved.tolist() == [[1.0, 5.0, 0.0]]
    spans = strongest(np.array([1.0, -3.0, 2.0, 0.0]), np.arange(5.0), count=1)
    assert [(span.start, span.stop, span.value) for span in spans] == [(2, 3, 2), (1, 2, -3)]
    joined = strongest(np.array([1.0, 1.0, 3.0]), np.array([0.0, 1.0, 2.0, 3.0]), width=2.0)
    assert [(span.start, span.stop, span.value) for span in joined] == [(2, 3, 3), (0, 2, 2)]


def test_rows_and_columns_of_the_log_mel_lie_where_a_sound_shows():
    frontend = LogMel(sample_rate=RATE, image_size=64)
    waveform = torch.from_numpy(tone_in_noise())[None].float() / 32768
    picture = frontend(waveform)[0, 0].numpy()
    axes = frontend.axes(waveform.shape[1])
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert axes.hz[row] < TONE_HZ < axes.hz[row + 1]
    assert axes.seconds[column + 1] > TONE_SECONDS[0] and axes.seconds[column] < TONE_SECONDS[1]
    assert axes.seconds[0] == 0 and axes.seconds[-1] == pytest.approx(SECONDS, abs=0.05)
    assert (np.diff(axes.hz) > 0).all() and axes.hz[-1] <= 8000


def test_an_unknown_mood_is_refused():
    with pytest.raises(SettingError, match="the model knows tone, none"):
        explain_song(make_bundle(), tone_in_noise(), mood="sad")


def test_the_record_says_what_the_docstring_promises(tmp_path):
    bundle = load_bundle(make_run(tmp_path / "run"))
    waveform = tone_in_noise()
    found = explain_song(bundle, waveform)
    said = json.loads(to_json(found, file="a.wav", model=bundle.about))
    assert said["answer"] == said["mood"] == found.answer
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    parts = said["contributions"]
    assert np.shape(parts["values"]) == (len(parts["hz"]) - 1, len(parts["seconds"]) - 1)
    for window in said["windows"]:
        assert window["is_complete"] == (window["error"] < 0.01)
        change = window["logit"] - window["baseline_logit"]
        assert window["sum"] == pytest.approx(change, rel=max(0.011, 1.1 * window["error"]))
    assert len(said["nearest"]) == 5 and said["nearest"][0]["name"].startswith("song ")
    assert said["unfamiliarity"] == found.unfamiliarity
    figure = song_figure(found, waveform, RATE, "a.wav")
    texts = " ".join(text.get_text() for text in figure.findobj(Text))
    assert f"a.wav: {found.answer}" in texts and "song " in texts and "min:s" in texts


def test_the_command_writes_a_picture_and_a_record(tmp_path):
    make_run(tmp_path / "run")
    write_wav(tmp_path / "a song.wav", tone_in_noise() / 32768)
    options = ("--model", "run", "--out", "why", "--mood", "peaceful", "--device", "cpu")
    done = command("explain", "a song.wav", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "why" / "a song-peaceful.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "why" / "a song-peaceful.json").read_text())["mood"] == "peaceful"
    assert "peaceful:" in done.stdout and "Near:" in done.stdout
