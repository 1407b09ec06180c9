"""VibeNet: equal to its own ONNX file under ONNX Runtime."""

import librosa
import numpy as np
import pytest
import torch

from baselines.vibenet import Vibenet, build_vibenet, find_vibenet, read_onnx, state_from_onnx
from baselines.weights import WeightsError, load_exactly
from melodai.errors import DependencyError
from tests.conftest import noise
from tests.test_baseline_base import assert_near, check_backbone, golden_waveform, randomise, settle


def installed() -> str:
    try:
        return str(find_vibenet())
    except DependencyError:
        pytest.skip("vibenet is neither installed nor in a weights folder")


def their_mel(sound: np.ndarray) -> np.ndarray:
    """The package's front end, by librosa: frames that start at the first sample, 80 dB range."""
    spectrum = np.abs(
        librosa.stft(sound, n_fft=1024, hop_length=320, win_length=1024, center=False,
                     window=np.pad(librosa.filters.get_window("hann", 640), (0, 384)))
    ) ** 2  # fmt: skip
    bank = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=128, fmax=8000)
    return librosa.power_to_db(bank @ spectrum, top_db=80.0)


def test_the_outputs_equal_onnx_runtime_s():
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(installed())
    network = build_vibenet()
    waveform = golden_waveform()
    with torch.no_grad():
        patches = network.front_end(waveform)
        logits = network.activations(patches[0])["logits"]
        expected = session.run(None, {"x": patches[0].numpy()})[0]
        assert_near(logits, expected, 1e-3)
        tags = network.tags(waveform, 16000)[0, 0]
    from_their_mel = session.run(None, {"x": their_mel(np.pad(waveform[0], (0, 384)))[None]})[0]
    assert_near(logits, from_their_mel, 1e-3)
    assert_near(tags[6], np.clip(expected[0, 6], 0, 1), 1e-3)
    assert_near(tags[0], 1 / (1 + np.exp(-expected[0, 0])), 1e-3)


def test_the_front_end_is_librosa_s_without_centring():
    sound = 0.3 * noise(1.5, 0, 16000)
    sound[:8000] = 0  # the range of 80 dB is that of the whole sound
    found = Vibenet().front_end(torch.from_numpy(sound)[None])[0, 0]
    assert found.shape == (128, 1 + (24000 - 640) // 320)
    expected = their_mel(np.pad(sound, (0, 384)))[:, : found.shape[1]]
    assert_near(found, expected, 1e-3)
    assert Vibenet().front_end(torch.zeros(1, 100)).shape == (1, 1, 128, 1)


def test_the_network_without_weights_keeps_the_contract():
    network = Vibenet()
    randomise(network)
    settle(network)
    assert network.num_parameters() == 4_339_843
    check_backbone(network, seconds=1.0)
    assert Vibenet(["trunk", "embedding"]).embedding_size == 1536


def test_an_onnx_file_of_the_published_layout_comes_back_as_it_was(tmp_path):
    onnx = pytest.importorskip("onnx")
    original, copy = Vibenet(), Vibenet()
    randomise(original, seed=1)
    values = [
        onnx.numpy_helper.from_array(value.numpy(), name)
        for name, value in original.state_dict().items()
        if not name.endswith("num_batches_tracked")
    ]
    values.append(onnx.numpy_helper.from_array(np.zeros(4), "val_1"))
    graph = onnx.helper.make_graph([], "g", [], [], initializer=values)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "v.onnx")
    load_exactly(copy, state_from_onnx(copy, read_onnx(tmp_path / "v.onnx")), "a test")
    for name, value in original.state_dict().items():
        assert torch.equal(value, copy.state_dict()[name]), name
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(WeightsError, match="not an ONNX file"):
        read_onnx(tmp_path / "bad.onnx")


def test_without_the_package_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MELODAI_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        build_vibenet(tmp_path)
    except DependencyError as error:
        assert "pip install --no-deps vibenet" in str(error)
        assert "GPL" in str(error)
