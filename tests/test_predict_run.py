"""What the rows of a result file depend on."""

import dataclasses

import torch
from torch import nn

from melodai.bundle import load_bundle
from melodai.models.base import Encoder, MoodModel
from melodai.predict.predictor import Predictor
from melodai.predict.run import settings_of
from tests.runs import make_run


def test_another_model_or_setting_is_noticed(tmp_path):
    bundle = load_bundle(make_run(tmp_path / "run"))
    before = settings_of(Predictor(bundle))
    assert settings_of(Predictor(load_bundle(tmp_path / "run"), batch_size=3)) == before
    assert settings_of(Predictor(bundle, min_confidence=0.5)) != before
    for change in ({"pooling": "mean"}, {"temperature": 2.0}, {"references": None}):
        assert settings_of(Predictor(dataclasses.replace(bundle, **change))) != before
    with torch.no_grad():
        next(bundle.model.encoder.parameters())[0] += 1e-3
    after = settings_of(Predictor(bundle))
    assert [name for name in before if before[name] != after[name]] == ["model"]


def test_a_model_that_keeps_its_weights_to_itself_is_told_by_its_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"one")
    model = MoodModel(frontend=nn.Identity(), encoder=Encoder(), moods=("a", "b"), sample_rate=8000)
    bundle = load_bundle(make_run(tmp_path / "run"))
    predictor = Predictor(dataclasses.replace(bundle, model=model, source=str(path)))
    before = settings_of(predictor)["model"]
    path.write_bytes(b"two")
    assert settings_of(predictor)["model"] != before
