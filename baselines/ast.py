"""The Audio Spectrogram Transformer, trained on AudioSet; through Hugging Face transformers.

Source: Gong et al., "AST: Audio Spectrogram Transformer", 2021; MIT/ast-finetuned-audioset-10-10-
0.4593; `ASTFeatureExtractor` for its front end, which is Kaldi's filter bank.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, windows
from baselines.catalogue import Pretrained, pretrained
from baselines.hub import hub_file, import_transformers, load_transformers, read_json
from baselines.weights import read_state, require_all

REPOSITORY = "MIT/ast-finetuned-audioset-10-10-0.4593"
_PINNED = {"licence": "BSD-3-Clause", "revision": "f826b80d28226b62986cc218e5cec390b1096902"}
FILES = (
    hub_file(
        REPOSITORY, "config.json",
        sha256="a93d525511d77e8ecc933d09674b85099815bbbb417c228a4edd655e252fb9ff", **_PINNED,
    ),
    hub_file(
        REPOSITORY, "model.safetensors", num_bytes=346404948,
        sha256="ae0c1e2ad4e1381d851fa9bf298ba13ebc9c5a914cdee2dbe427a6583869924d", **_PINNED,
    ),
)  # fmt: skip
FRAME, HOP_LENGTH, N_FFT = 400, 160, 512
F_MIN, F_MAX = 20.0, 8000.0
PREEMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps
MEAN, DEVIATION = -4.2677393, 4.5689974  # of the filter bank on AudioSet
WINDOW_SECONDS = 10


class AudioSpectrogramTransformer(Backbone):
    """As few windows of 10 s as cover the song; a shorter sound is padded as it was in training.

    Layers: "embedding", the mean of the two class tokens, and "patches", the mean of all others.

    Args:
        network: an `ASTForAudioClassification`.
    """

    name = "ast"
    sample_rate = 16000
    licence = FILES[0].licence
    source = FILES[0].source
    layer_sizes: ClassVar = {"embedding": 768, "patches": 768}
    default_layers = ("embedding",)
    patches_at_once = 4

    def __init__(self, network: nn.Module, layers: Sequence[str] | None = None) -> None:
        config = network.config
        self.layer_sizes = dict.fromkeys(self.layer_sizes, config.hidden_size)
        super().__init__(layers)
        self.network = network
        self.tag_names = tuple(config.id2label[i] for i in range(config.num_labels))
        self.num_frames = config.max_length
        self.register_buffer("bank", _kaldi_bank(config.num_mel_bins), persistent=False)
        window = torch.hann_window(FRAME, periodic=False)
        self.register_buffer("window", window, persistent=False)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Kaldi's filter bank: `(..., time)` -> `(..., frame, mel)`, natural logarithm of power."""
        waveform = F.pad(waveform, (0, max(0, FRAME - waveform.shape[-1])))
        frames = waveform.unfold(-1, FRAME, HOP_LENGTH)
        frames = frames - frames.mean(-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * self.window, n=N_FFT)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.bank).clamp(min=FLOOR).log()

    def front_end(self, waveform: Tensor) -> Tensor:
        """Zeros behind the last frame, then standardised: `(batch, window, 1024, 128)`."""
        length = WINDOW_SECONDS * self.sample_rate
        cut = waveform[:, None] if waveform.shape[1] <= length else windows(waveform, length)
        log_mel = self.log_mel(cut)[..., : self.num_frames, :]
        padded = F.pad(log_mel, (0, 0, 0, self.num_frames - log_mel.shape[-2]))
        return (padded - MEAN) / (2 * DEVIATION)

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        found = self.network.audio_spectrogram_transformer(input_values=patches)
        logits = self.network.classifier(found.pooler_output)
        return {
            "embedding": found.pooler_output,
            "patches": found.last_hidden_state[:, 2:].mean(1),
            "logits": logits,
            "tags": logits.sigmoid(),
        }


def _kaldi_bank(num_mels: int) -> Tensor:
    from torchaudio.compliance.kaldi import get_mel_banks

    bank, _ = get_mel_banks(num_mels, N_FFT, 16000, F_MIN, F_MAX, 100.0, -500.0, 1.0)
    return F.pad(bank, (0, 1)).T.contiguous()


def ast_from(config: Mapping[str, Any], state: Mapping[str, Tensor], layers=None) -> Backbone:
    """From the content of `config.json` and the tensors."""
    transformers = import_transformers()
    network = load_transformers(
        transformers.ASTForAudioClassification, transformers.ASTConfig(**config), state, "ast"
    )
    return AudioSpectrogramTransformer(network, layers).eval()


@pretrained(
    Pretrained(
        name="ast",
        files=FILES,
        licence=FILES[0].licence,
        source=FILES[0].source,
        num_parameters=86_594_063,
        sample_rate=16000,
        embedding_size=768,
        front_end="128 Kaldi mels 20-8000 Hz of power, 25 / 10 ms, ln, standardised, 10 s windows",
        heard="ImageNet, then AudioSet: 2 million clips of YouTube videos",
        tags="527 AudioSet classes",
        extra="transformers",
    )
)
def build_ast(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> Backbone:
    """AST with the published AudioSet weights (mAP 0.459)."""
    config, weights = require_all(FILES, weights_dir, offline=offline)
    return ast_from(read_json(config), read_state(weights, FILES[1]), layers)
