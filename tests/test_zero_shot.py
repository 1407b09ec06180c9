"""A pretrained network as it is, and what `--model` may name."""

from pathlib import Path

import pytest
import torch

import melodai
from baselines.jamendo import JamendoVgg
from baselines.mood_model import mood_model
from melodai.checkpoint import BEST, model_state, save_checkpoint
from melodai.config import Config
from melodai.errors import CheckpointError, MelodaiError, SettingError
from melodai.models.heads import LINEAR, Head, HeadShape, ProbeHead
from melodai.models.registry import find_architecture
from melodai.zero_shot import keep_zero_shot, load_zero_shot, open_model

MOODS = ("energetic", "peaceful", "emotional")


def test_the_default_model_answers_offline_and_has_a_card():
    bundle = open_model()
    assert bundle.is_calibrated and bundle.model.moods == MOODS
    assert len(bundle.references.names) == 300
    card = Path(melodai.__file__).parent / "default_model" / "README.md"
    text = card.read_text(encoding="utf-8")
    for word in ("non-commercial", "must not be used", "half of the listeners", "[0.602, 0.728]"):
        assert word in text
    answer = melodai.load().predict(torch.randn(16000 * 5).numpy() * 0.1, 16000)
    assert sum(answer.probabilities) == pytest.approx(1) and answer.mood in MOODS


def test_an_architecture_without_tags_says_what_to_do_and_a_wrong_name_is_told():
    with pytest.raises(SettingError, match="train a probe"):
        open_model("vggish")
    with pytest.raises(CheckpointError, match="nonsense"):
        open_model("nonsense")


def test_what_is_usual_for_the_tags_is_kept_for_the_shipped_architectures():
    for name in ("jamendo-vgg", "yamnet"):
        assert find_architecture(name).zero_shot.is_file()
    assert find_architecture("vggish").zero_shot is None


def test_a_network_without_weights_at_hand_says_where_to_put_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MELODAI_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(MelodaiError, match="put it at"):
        load_zero_shot("jamendo-vgg")


def test_what_a_zero_shot_run_found_usual_is_kept_and_nothing_else(tmp_path):
    model = mood_model(JamendoVgg(("logits",)).eval(), MOODS, None)
    head = Head(HeadShape(kind=LINEAR, num_inputs=56, num_classes=3))
    model.encoder.classifier = ProbeHead([head])
    config = Config().with_options(arch="jamendo-vgg", mode="zero-shot", segment_seconds=30.0)
    (tmp_path / "run").mkdir()
    state = {**model_state(model, "jamendo-vgg", config), "epoch": 1}
    save_checkpoint(tmp_path / "run" / BEST, state)
    kept = keep_zero_shot(tmp_path / "run", tmp_path / "kept.safetensors")
    assert kept.stat().st_size < 10_000
    probe = Config().with_options(arch="jamendo-vgg", mode="probe", layers="logits")
    save_checkpoint(
        tmp_path / "run" / BEST, {**model_state(model, "jamendo-vgg", probe), "epoch": 1}
    )
    with pytest.raises(SettingError, match="zero-shot"):
        keep_zero_shot(tmp_path / "run", tmp_path / "other.safetensors")
