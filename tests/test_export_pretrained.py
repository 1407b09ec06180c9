"""Pretrained networks become ONNX like melodai's own, with their front end and a kernel head."""

from typing import ClassVar

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from baselines.base import Backbone, power_spectrum, windows
from baselines.mood_model import mood_model
from baselines.musicnn import Musicnn
from melodai.bundle import ModelBundle
from melodai.config import Config
from melodai.errors import SettingError
from melodai.export.onnx import export_onnx
from melodai.models.heads import Head, HeadShape, ProbeHead
from tests.test_baseline_musicnn import WholeMusicnn, with_dead_filters

RATE, PATCH = 4000, 4000


class Small(Backbone):
    """Patches of one second, two at once, and a layer on their mean spectrum."""

    name, sample_rate, licence, source = "small", RATE, "none", "here"
    layer_sizes: ClassVar = {"first": 6, "second": 4}
    default_layers = ("first", "second")
    patches_at_once = 2

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(256), persistent=False)
        self.first, self.second = nn.Linear(129, 6), nn.Linear(6, 4)

    def front_end(self, waveform):
        power = power_spectrum(windows(waveform, PATCH), self.window, 256, 128, pad="reflect")
        return power.clamp(min=1e-6).log10()

    def activations(self, patches):
        first = self.first(patches.mean(1)).relu()
        return {"first": first, "second": self.second(first)}


class Unstable(Small):
    """What it answers depends on how many examples are in the batch."""

    def activations(self, patches):
        found = super().activations(patches)
        return {**found, "second": found["second"] + (1.0 if patches.shape[0] == 6 else 0.0)}


def probe(backbone: Backbone) -> ModelBundle:
    torch.manual_seed(0)
    model = mood_model(backbone, ("a", "b", "c"), None)
    size = model.encoder.embedding_size
    head = Head(HeadShape(kind="kernel", num_inputs=size, num_classes=3, num_hidden=7))
    for name, buffer in head.named_buffers():
        if buffer.dtype == torch.float32 and buffer.dim():
            torch.nn.init.uniform_(buffer, -0.5 if name != "scale" else 0.5, 1.0)
    head.columns.copy_(torch.arange(size))
    model.encoder.classifier = ProbeHead([head])
    return ModelBundle(
        model=model.eval(), config=Config(), segment_seconds=3.0, pooling="mean", temperature=1.0,
        segment_temperature=1.5, is_calibrated=True, references=None, about={"arch": "small"},
        scores={}, source="here",
    )  # fmt: skip


def test_a_probe_answers_the_same_for_any_number_of_patches(tmp_path):
    bundle = probe(Small())
    assert export_onnx(bundle, tmp_path / "model.onnx") < 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for batch, seconds in ((1, 3.0), (5, 3.0), (2, 7.3)):
        waveform = torch.randn(batch, round(seconds * RATE), generator=torch.Generator())
        probabilities, _ = session.run(None, {"waveform": waveform.numpy()})
        with torch.inference_mode():
            expected = (bundle.model(waveform) / 1.5).softmax(1).numpy()
        assert np.abs(probabilities - expected).max() < 1e-5
        assert expected.std(axis=1).max() > 0.01


def test_a_network_without_its_dead_filters_answers_the_same_as_a_graph(tmp_path):
    network = Musicnn(layers=["penultimate"])
    network.load_state_dict(with_dead_filters(WholeMusicnn()).state_dict())
    export_onnx(probe(network), tmp_path / "model.onnx")  # compares both, and raises


def test_a_graph_that_answers_otherwise_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"(differs by|cannot be written as ONNX).*--no-onnx"):
        export_onnx(probe(Unstable()), tmp_path / "model.onnx")
