"""A pretrained network as it is, and what `--model` may name."""

import numpy as np
import pytest

import melodai
from baselines.jamendo import JamendoVgg
from baselines.mood_model import mood_model
from melodai.bundle import DEFAULT_MODELS
from melodai.checkpoint import BEST, model_state, save_checkpoint
from melodai.config import Config
from melodai.errors import CheckpointError, MelodaiError, SettingError
from melodai.labels import QUADRANTS, THREE
from melodai.models.heads import LINEAR, Head, HeadShape, ProbeHead
from melodai.models.registry import find_architecture
from melodai.zero_shot import keep_zero_shot, load_zero_shot, open_model

MOODS = ("energetic", "peaceful", "emotional")


@pytest.mark.parametrize(
    ("moods", "names", "num_songs"), [("auto", THREE, 975), ("quadrants", QUADRANTS, 675)]
)
def test_the_models_in_the_box_answer_offline_and_have_cards(moods, names, num_songs):
    bundle = open_model(moods=moods)
    assert bundle.is_calibrated and bundle.model.moods == names
    assert len(bundle.references.names) == num_songs
    text = (DEFAULT_MODELS[names] / "README.md").read_text(encoding="utf-8")
    for word in ("research", "are not free", "must not be used", "macro F1", "675"):
        assert word in text
    # Crackling over a rumble: no music, and no sound that the detector has learned from.
    random = np.random.default_rng(0)
    rumble = np.cumsum(random.standard_normal(16000 * 40)) / 4000
    crackle = (random.random(len(rumble)) < 0.002) * random.standard_normal(len(rumble))
    answer = melodai.load(moods=moods).predict(np.clip(rumble + crackle, -1, 1), 16000)
    assert sum(answer.probabilities) == pytest.approx(1) and answer.mood in names
    assert answer.unfamiliarity > 1


def test_moods_that_no_model_in_the_box_tells_are_refused(tmp_path):
    with pytest.raises(SettingError, match="three or quadrants"):
        open_model(moods="five")
    with pytest.raises(SettingError, match="has its own"):
        open_model(tmp_path, moods="quadrants")


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
