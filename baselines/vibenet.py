"""VibeNet: an EfficientNet-B0 that predicts valence, energy and five other traits of a song.

Source: jaeheonshim/vibenet, `vibenet/core.py` (front end) and `vibenet/models/student.py`. The
package is under the GPL-3: nothing here depends on it, its weights are read where the user has
installed it or has put the file into a weights folder.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, power_spectrum
from baselines.catalogue import Pretrained, pretrained
from baselines.files import VIBENET
from baselines.mel import mel_bank
from baselines.weights import WeightsError, check, find, load_exactly
from melodai.errors import DependencyError

FRAME, HOP_LENGTH, N_FFT, N_MELS = 640, 320, 1024, 128
POWER_FLOOR = 1e-10
RANGE_DB = 80.0  # below each song's loudest point
TRAITS = (
    "acousticness", "danceability", "energy", "instrumentalness", "liveness", "speechiness",
    "valence",
)  # fmt: skip
# These are probabilities of something; the others are amounts, from 0 to 1.
LIKELIHOODS = frozenset({"acousticness", "instrumentalness", "liveness"})


class Vibenet(Backbone):
    """One frame, whatever the length of the sound. Modules have the published names.

    Layers: "embedding", EfficientNet's 1280 pooled channels, and "trunk", 256 made of them.
    """

    name = "vibenet"
    sample_rate = 16000
    licence = VIBENET.licence
    source = VIBENET.source
    layer_sizes: ClassVar = {"embedding": 1280, "trunk": 256}
    mel_axis = -2
    default_layers = ("embedding",)
    tag_names = TRAITS
    patches_at_once = 4

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        from torchvision.models import efficientnet_b0

        super().__init__(layers)
        self.backbone = efficientnet_b0(weights=None)
        self.backbone.classifier = nn.Identity()
        self.trunk = nn.Sequential(
            nn.LayerNorm(1280), nn.Linear(1280, 256), nn.GELU(), nn.Dropout(0.2)
        )
        self.heads = nn.ModuleDict({trait: nn.Linear(256, 1) for trait in TRAITS})
        bank = mel_bank(
            sample_rate=self.sample_rate, n_fft=N_FFT, n_mels=N_MELS, f_min=0, f_max=8000,
            scale="slaney",
        )  # fmt: skip
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(FRAME), persistent=False)
        is_likelihood = torch.tensor([trait in LIKELIHOODS for trait in TRAITS])
        self.register_buffer("is_likelihood", is_likelihood, persistent=False)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Decibels, cut 80 below the maximum: `(batch, time)` -> `(batch, 1, 128, frame)`."""
        waveform = F.pad(waveform, (0, max(0, FRAME - waveform.shape[1])))
        mel = power_spectrum(waveform, self.window, N_FFT, HOP_LENGTH) @ self.bank
        decibels = 10 * mel.clamp(min=POWER_FLOOR).log10()
        floor = decibels.amax((1, 2), keepdim=True) - RANGE_DB
        return torch.maximum(decibels, floor).mT[:, None]

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        embedding = self.backbone(patches[:, None].expand(-1, 3, -1, -1))
        trunk = self.trunk(embedding)
        logits = torch.cat([self.heads[trait](trunk) for trait in TRAITS], dim=1)
        tags = torch.where(self.is_likelihood, logits.sigmoid(), logits.clamp(0, 1))
        return {"embedding": embedding, "trunk": trunk, "logits": logits, "tags": tags}


def find_vibenet(weights_dir: Path | None = None) -> Path:
    """The installed package's file, or the one in a weights folder; checked.

    Raises:
        DependencyError: neither is there.
    """
    spec = importlib.util.find_spec("vibenet")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "artifacts" / "efficientnet_model.onnx"
        if path.is_file():
            check(path, VIBENET)
            return path
    path = find(VIBENET, weights_dir)
    if path is None:
        raise DependencyError(
            "vibenet's weights (GPL-3) are used only if you install them yourself:  "
            f"pip install --no-deps {VIBENET.wheel}  or put {VIBENET.member} of that wheel into "
            f"the weights folder as {VIBENET.name}"
        )
    return path


def read_onnx(path: Path) -> dict[str, Tensor]:
    """The initialisers of an ONNX file by name.

    Raises:
        DependencyError: onnx is not installed.
        WeightsError: not such a file.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise DependencyError("onnx is needed: pip install 'melodai[baselines]'") from error
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except DecodeError as error:
        raise WeightsError(f"{path} is not an ONNX file: {error}") from error
    return {
        value.name: torch.tensor(onnx.numpy_helper.to_array(value)) for value in graph.initializer
    }


def state_from_onnx(network: Vibenet, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The exporter kept the names, added constants named val_*, and dropped batch counters."""
    state = {name: value for name, value in values.items() if not name.startswith("val_")}
    own = network.state_dict()
    counters = {name: own[name] for name in own if name.endswith("num_batches_tracked")}
    return {**state, **counters}


@pretrained(
    Pretrained(
        name="vibenet",
        licence=Vibenet.licence,
        source=Vibenet.source,
        num_parameters=4_339_843,
        sample_rate=Vibenet.sample_rate,
        embedding_size=1280,
        front_end="128 Slaney mels of power, 40 / 20 ms, 10 log10, 80 dB range, the whole sound",
        heard="Free Music Archive, with Echo Nest's traits",
        tags="7 traits, energy and valence among them",
        files_on_request=(VIBENET,),
        extra=VIBENET.wheel or "",
    ),
    skeleton=Vibenet,
)
def build_vibenet(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> Vibenet:
    """VibeNet from the user's own copy; never downloaded here, `offline` or not."""
    network = Vibenet(layers)
    state = state_from_onnx(network, read_onnx(find_vibenet(weights_dir)))
    load_exactly(network, state, "vibenet")
    return network.eval()
