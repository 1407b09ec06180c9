"""Heads for frozen networks: from an embedding to one logit a mood.

They are fitted in `melodai.probe`; here they only answer, so that a probe is saved, exported and
run like any other model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LINEAR, MLP, KERNEL = "linear", "mlp", "kernel"


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """All that is needed to build a head before its weights are loaded.

    Attributes:
        kind: "linear", "mlp" or "kernel".
        num_inputs: columns of the embedding that it reads.
        num_classes: moods.
        num_hidden: units of an MLP, support vectors of a kernel head; 0 for a linear one.
        num_components: into which the inputs are turned first; 0 if they are not.
    """

    kind: str
    num_inputs: int
    num_classes: int
    num_hidden: int = 0
    num_components: int = 0

    @property
    def num_scored(self) -> int:
        """Values that are scored."""
        return self.num_components or self.num_inputs

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> "HeadShape":
        """What the weights of one head were saved from."""
        num_inputs = len(state["columns"])
        if "scorer.support" in state:
            num_hidden, num_classes = state["scorer.weight"].shape
            kind = KERNEL
        elif "scorer.0.weight" in state:
            kind, num_hidden = MLP, len(state["scorer.0.bias"])
            num_classes = len(state["scorer.2.bias"])
        else:
            kind, num_hidden, num_classes = LINEAR, 0, len(state["scorer.bias"])
        num_components = state["rotation"].shape[1] if "rotation" in state else 0
        return cls(
            kind=kind, num_inputs=num_inputs, num_classes=num_classes, num_hidden=num_hidden,
            num_components=num_components,
        )  # fmt: skip


class Head(nn.Module):
    """Chosen columns of an embedding, standardised, turned, scored, scaled to calibrated logits.

    Shape: `(batch, embedding_size)` -> `(batch, class)`.
    """

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.register_buffer("columns", torch.zeros(shape.num_inputs, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(shape.num_inputs))
        self.register_buffer("scale", torch.ones(shape.num_inputs))
        self.register_buffer("sharpness", torch.ones(()))  # one over the temperature
        # In half precision, for it is most of a head; its rounding moves no answer.
        rotation = torch.zeros(shape.num_inputs, shape.num_components, dtype=torch.float16)
        self.register_buffer("rotation", rotation if shape.num_components else None)
        if shape.kind == LINEAR:
            self.scorer: nn.Module = nn.Linear(shape.num_scored, shape.num_classes)
        elif shape.kind == MLP:
            self.scorer = nn.Sequential(
                nn.Linear(shape.num_scored, shape.num_hidden),
                nn.ReLU(),
                nn.Linear(shape.num_hidden, shape.num_classes),
            )
        else:
            self.scorer = KernelScorer(shape)

    def forward(self, embedding: Tensor) -> Tensor:
        x = (embedding.float().index_select(1, self.columns) - self.mean) * self.scale
        if self.rotation is not None:
            x = x @ self.rotation.float()
        return self.scorer(x) * self.sharpness


class ProbeHead(nn.Module):
    """The mean of the logits of one or several heads, scaled once more.

    Shape: `(batch, embedding_size)` -> `(batch, class)`.
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.register_buffer("sharpness", torch.ones(()))

    @classmethod
    def of_state(cls, encoder: Mapping[str, Tensor]) -> "ProbeHead | None":
        """Made for the weights of an encoder, which are not loaded yet.

        None if the encoder's head is the network's own.
        """
        heads = []
        while True:
            prefix = f"classifier.heads.{len(heads)}."
            state = {k.removeprefix(prefix): v for k, v in encoder.items() if k.startswith(prefix)}
            if not state:
                return cls(heads) if heads else None
            heads.append(Head(HeadShape.of_state(state)))

    def forward(self, embedding: Tensor) -> Tensor:
        with torch.autocast(embedding.device.type, enabled=False):
            logits = [head(embedding) for head in self.heads]
            return torch.stack(logits).mean(0) * self.sharpness


class KernelScorer(nn.Module):
    """A sum of Gaussian bumps around support vectors: an RBF-SVM, one class against the others, or
    kernel ridge regression.

    Shape: `(batch, num_scored)` -> `(batch, class)`.
    """

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        support = torch.zeros(shape.num_hidden, shape.num_scored)
        self.register_buffer("support", support.half() if shape.num_components else support)
        self.register_buffer("weight", torch.zeros(shape.num_hidden, shape.num_classes))
        self.register_buffer("bias", torch.zeros(shape.num_classes))
        self.register_buffer("gamma", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        support = self.support.float()
        squared = x.square().sum(1, keepdim=True) - 2 * x @ support.T + support.square().sum(1)
        return torch.exp(-self.gamma * squared.clamp_min(0)) @ self.weight + self.bias
