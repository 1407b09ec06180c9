"""Transformers on the waveform itself: wav2vec 2.0 and WavLM (torchaudio), MERT (transformers).

Source: torchaudio's pipelines WAV2VEC2_ASR_BASE_960H and WAVLM_BASE_PLUS; Li et al., "MERT:
acoustic music understanding model with large-scale self-supervised training", 2023,
m-a-p/MERT-v1-95M.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.base import Backbone, windows
from baselines.catalogue import Pretrained, pretrained
from baselines.hub import hub_file, import_transformers, load_transformers, read_json
from baselines.weights import WeightFile, WeightsError, load_exactly, read_state, require_all

WINDOW_SECONDS = 5
WAV2VEC2 = WeightFile(
    name="wav2vec2_fairseq_base_ls960_asr_ls960.pth",
    licence="MIT",
    source="https://docs.pytorch.org/audio (WAV2VEC2_ASR_BASE_960H)",
    num_bytes=377664473,
    sha256="488fd4f16de84438ffc945334278c1b9fb9b7159a806c1080b16111a958c945d",
    url="https://download.pytorch.org/torchaudio/models/wav2vec2_fairseq_base_ls960_asr_ls960.pth",
)
WAVLM = WeightFile(
    name="wavlm_base_plus.pth",
    licence="CC-BY-SA-3.0",
    source="https://docs.pytorch.org/audio (WAVLM_BASE_PLUS)",
    num_bytes=377604347,
    sha256="136a3e720c04f2c77bf7a4dc6a3868b14d5a2c145a988114b733cb1a8428be98",
    url="https://download.pytorch.org/torchaudio/models/wavlm_base_plus.pth",
)
# The hub has MERT as a pickle whose checksum is not known; it must be there as safetensors.
MERT = tuple(
    hub_file("m-a-p/MERT-v1-95M", name, "CC-BY-NC-4.0")
    for name in ("config.json", "preprocessor_config.json", "model.safetensors")
)
# Parts of MERT's own code that its published 95M model does not use.
_MERT_PLAIN = {"feature_extractor_cqt": False, "deepnorm": False, "attention_relax": -1.0}


class WaveformTransformer(Backbone):
    """As few windows of 5 s as cover the song; each layer's mean over the window.

    Layers: "layer1" to the last one, and "mean" of all of them.

    Args:
        name: for `--arch`.
        network: a torchaudio `Wav2Vec2Model` or a transformers `HubertModel`.
        num_layers, size: of its transformer.
        sample_rate: in Hz.
        standardised: whether windows are brought to zero mean and unit variance.
        file: for licence and source.
    """

    mel_axis = None
    default_layers = ("mean",)
    patches_at_once = 4

    def __init__(
        self, name: str, network: nn.Module, *, num_layers: int, size: int, sample_rate: int,
        standardised: bool, file: WeightFile, layers: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.sample_rate = name, sample_rate
        self.licence, self.source = file.licence, file.source
        names = [f"layer{i}" for i in range(1, num_layers + 1)]
        self.layer_sizes = dict.fromkeys([*names, "mean"], size)
        super().__init__(layers)
        self.network, self.standardised = network, standardised

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` -> `(batch, window, time)`."""
        cut = windows(waveform, WINDOW_SECONDS * self.sample_rate)
        if self.standardised:
            variance, mean = torch.var_mean(cut, -1, correction=0, keepdim=True)
            cut = (cut - mean) / (variance + 1e-7).sqrt()
        return cut

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        if hasattr(self.network, "extract_features"):
            hidden, _ = self.network.extract_features(patches)
        else:
            hidden = self.network(patches, output_hidden_states=True).hidden_states[1:]
        pooled = [layer.mean(1) for layer in hidden]  # (patch, frame, size) -> (patch, size)
        found = {f"layer{i}": layer for i, layer in enumerate(pooled, start=1)}
        return {**found, "mean": torch.stack(pooled).mean(0)}


def from_torchaudio(
    name: str, network: nn.Module, state: Mapping[str, Tensor], file: WeightFile, layers=None
) -> WaveformTransformer:
    """A torchaudio network with the published tensors, less the letters of speech recognition."""
    wanted = {key: value for key, value in state.items() if not key.startswith("aux.")}
    load_exactly(network, wanted, name)
    blocks = network.encoder.transformer.layers
    size = network.encoder.feature_projection.projection.out_features
    return WaveformTransformer(
        name, network, num_layers=len(blocks), size=size, sample_rate=16000,
        standardised=False, file=file, layers=layers,
    ).eval()  # fmt: skip


def mert_from(
    config: Mapping[str, Any], preprocessor: Mapping[str, Any], state: Mapping[str, Tensor],
    layers: Sequence[str] | None = None,
) -> WaveformTransformer:  # fmt: skip
    """MERT as the HuBERT that it is, without the code of its repository.

    Raises:
        WeightsError: a variant that HuBERT is not.
    """
    for key, plain in _MERT_PLAIN.items():
        if config.get(key, plain) != plain:
            raise WeightsError(f"this MERT has {key} = {config[key]}, which HuBERT does not know")
    transformers = import_transformers()
    known = transformers.HubertConfig().to_dict()
    settings = {k: v for k, v in config.items() if k in known and k != "model_type"}
    hubert = transformers.HubertConfig(**settings)
    network = load_transformers(transformers.HubertModel, hubert, _new_norm_names(state), "mert")
    return WaveformTransformer(
        "mert", network, num_layers=hubert.num_hidden_layers, size=hubert.hidden_size,
        sample_rate=preprocessor["sampling_rate"], standardised=preprocessor["do_normalize"],
        file=MERT[2], layers=layers,
    ).eval()  # fmt: skip


def _new_norm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """PyTorch's weight norm keeps its two factors under other names since 2.0."""
    new = {"weight_g": "parametrizations.weight.original0"}
    new["weight_v"] = "parametrizations.weight.original1"
    renamed = {}
    for name, value in state.items():
        front, _, last = name.rpartition(".")
        renamed[f"{front}.{new[last]}" if last in new else name] = value
    return renamed


_SPEECH = "waveform, 5 s windows"


@pretrained(
    Pretrained(
        name="wav2vec2", files=(WAV2VEC2,), licence=WAV2VEC2.licence, source=WAV2VEC2.source,
        num_parameters=94_370_944, sample_rate=16000, embedding_size=768, front_end=_SPEECH,
        heard="LibriSpeech: 960 hours of read books; no music",
    )
)  # fmt: skip
def build_wav2vec2(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> WaveformTransformer:
    """wav2vec 2.0 base, fine-tuned on speech (the file whose checksum is known)."""
    import torchaudio

    (path,) = require_all([WAV2VEC2], weights_dir, offline=offline)
    network = torchaudio.models.wav2vec2_base()
    return from_torchaudio("wav2vec2", network, read_state(path, WAV2VEC2), WAV2VEC2, layers)


@pretrained(
    Pretrained(
        name="wavlm", files=(WAVLM,), licence=WAVLM.licence, source=WAVLM.source,
        num_parameters=94_381_168, sample_rate=16000, embedding_size=768, front_end=_SPEECH,
        heard="94,000 hours of speech; no music",
    )
)  # fmt: skip
def build_wavlm(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> WaveformTransformer:
    """WavLM base+."""
    import torchaudio

    (path,) = require_all([WAVLM], weights_dir, offline=offline)
    network = torchaudio.models.wavlm_base()
    return from_torchaudio("wavlm", network, read_state(path, WAVLM), WAVLM, layers)


@pretrained(
    Pretrained(
        name="mert", files=MERT, licence=MERT[0].licence, source=MERT[0].source,
        num_parameters=94_371_712, sample_rate=24000, embedding_size=768,
        front_end="waveform at 24 kHz, standardised as its settings say, 5 s windows",
        heard="20,000 hours of music from the web, not published", extra="transformers",
    )
)  # fmt: skip
def build_mert(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> WaveformTransformer:
    """MERT-v1-95M; not for commercial use."""
    config, preprocessor, weights = require_all(MERT, weights_dir, offline=offline)
    state = read_state(weights, MERT[2])
    return mert_from(read_json(config), read_json(preprocessor), state, layers)
