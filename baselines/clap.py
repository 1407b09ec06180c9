"""CLAP: sound and text in one space, so that moods can be named in words.

Source: Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion and
keyword-to-caption augmentation", 2023; laion/clap-htsat-unfused; `ClapFeatureExtractor`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.base import Backbone, power_spectrum, windows
from baselines.catalogue import Pretrained, pretrained
from baselines.hub import hub_file, import_transformers, load_transformers, read_json
from baselines.mel import mel_bank
from baselines.weights import read_state, require_all

REPOSITORY = "laion/clap-htsat-unfused"
_PINNED = {"licence": "Apache-2.0", "revision": "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a"}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
FILES = (
    hub_file(
        REPOSITORY, "pytorch_model.bin", num_bytes=614525833,
        sha256="1cd3c601bc4afe0fa87be3de4c13dd2cfadd249fac1e29acf74a9b296c3219bb", **_PINNED,
    ),
    *(
        hub_file(REPOSITORY, name, **_PINNED)
        for name in ("config.json", "preprocessor_config.json", *TOKENIZER)
    ),
)  # fmt: skip
POWER_FLOOR = 1e-10


class Clap(Backbone):
    """As few windows as cover the song. Its tags are what `set_prompts` was given.

    Layers: "embedding", in the space shared with text, unit length; "audio", before it.

    Args:
        network: a `ClapModel`.
        preprocessor: the content of `preprocessor_config.json`.
        tokenizer: of transformers, for the prompts.
    """

    name = "clap"
    licence = FILES[0].licence
    source = FILES[0].source
    default_layers = ("embedding",)
    patches_at_once = 4

    def __init__(
        self, network: nn.Module, preprocessor: Mapping[str, Any], tokenizer: Any,
        layers: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        config = network.config
        self.layer_sizes = {
            "embedding": config.projection_dim, "audio": config.audio_config.hidden_size
        }  # fmt: skip
        super().__init__(layers)
        self.network, self.tokenizer = network, tokenizer
        self.sample_rate = preprocessor["sampling_rate"]
        self.n_fft, self.hop_length = preprocessor["fft_window_size"], preprocessor["hop_length"]
        self.window_samples = preprocessor["max_length_s"] * self.sample_rate
        bank = mel_bank(
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            n_mels=preprocessor["feature_size"],
            f_min=preprocessor["frequency_min"],
            f_max=preprocessor["frequency_max"],
            scale="slaney",
        )
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("prompts", torch.zeros(0, config.projection_dim), persistent=False)

    @torch.no_grad()
    def set_prompts(self, prompts: Mapping[str, str]) -> None:
        """Makes these descriptions its tags: name -> sentence ("energetic": "energetic music")."""
        self.prompts = self.embed_text(list(prompts.values()))
        self.tag_names = tuple(prompts)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts in the shared space, `(text, size)`, unit length."""
        tokens = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        device = self.prompts.device
        pooled = self.network.text_model(
            input_ids=tokens["input_ids"].to(device),
            attention_mask=tokens["attention_mask"].to(device),
        ).pooler_output
        return nn.functional.normalize(self.network.text_projection(pooled), dim=-1)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Decibels of mel power: `(batch, time)` -> `(batch, window, frame, mel)`."""
        cut = windows(waveform, self.window_samples)
        mel = power_spectrum(cut, self.window, self.n_fft, self.hop_length, pad="reflect")
        return 10 * (mel @ self.bank).clamp(min=POWER_FLOOR).log10()

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        is_longer = torch.zeros(len(patches), 1, dtype=torch.bool, device=patches.device)
        audio = self.network.audio_model(
            input_features=patches[:, None], is_longer=is_longer
        ).pooler_output
        embedding = nn.functional.normalize(self.network.audio_projection(audio), dim=-1)
        found = {"embedding": embedding, "audio": audio}
        if self.tag_names is not None:
            logits = self.network.logit_scale_a.exp() * embedding @ self.prompts.T
            found |= {"logits": logits, "tags": logits.softmax(-1)}
        return found


def clap_from(
    config: Mapping[str, Any], preprocessor: Mapping[str, Any], state: Mapping[str, Tensor],
    tokenizer_folder: Path, layers: Sequence[str] | None = None,
) -> Clap:  # fmt: skip
    """From the content of the repository's files."""
    transformers = import_transformers()
    network = load_transformers(
        transformers.ClapModel, transformers.ClapConfig(**config), state, "clap"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(tokenizer_folder), local_files_only=True, trust_remote_code=False
    )
    return Clap(network, preprocessor, tokenizer, layers).eval()


@pretrained(
    Pretrained(
        name="clap",
        files=FILES,
        licence=FILES[0].licence,
        source=FILES[0].source,
        num_parameters=153_492_890,
        sample_rate=48000,
        embedding_size=512,
        front_end="64 Slaney mels of power at 48 kHz, FFT 1024 / 480, 10 log10, 10 s windows",
        heard="LAION-Audio-630K and other sounds with captions",
        tags="what it is asked for in words",
        extra="transformers",
    )
)
def build_clap(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> Clap:
    """CLAP with the published weights; give it its tags with `set_prompts`."""
    weights, config, preprocessor, tokenizer, *_ = require_all(FILES, weights_dir, offline=offline)
    state = read_state(weights, FILES[0])
    return clap_from(read_json(config), read_json(preprocessor), state, tokenizer.parent, layers)
