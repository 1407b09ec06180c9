"""Several pretrained networks side by side: one embedding of all of theirs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from melodai.models.base import Encoder, MoodModel
from melodai.transforms.resample import resample


class Resampled(nn.Module):
    """A front end for waveforms of another sample rate than its own.

    Shape: `(batch, time)` at `source_rate` -> what the front end makes.
    """

    def __init__(self, frontend: nn.Module, source_rate: int, target_rate: int) -> None:
        super().__init__()
        self.frontend = frontend
        self.source_rate, self.target_rate = source_rate, target_rate

    def extra_repr(self) -> str:
        return f"{self.source_rate} Hz to {self.target_rate} Hz"

    def forward(self, waveform: Tensor, num_samples: Tensor | None = None, draw=None):
        resampled = resample(waveform, self.source_rate, self.target_rate)
        if num_samples is not None:
            num_samples = -(-num_samples * self.target_rate // self.source_rate)
        return self.frontend(resampled, num_samples, draw)


class _FrontEnds(nn.Module):
    """Each member's features, as a tuple."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, waveform: Tensor, num_samples: Tensor | None = None, draw=None) -> tuple:
        return tuple(member(waveform, num_samples, draw) for member in self.members)


class _Encoders(Encoder):
    """The members' embeddings, one after the other."""

    def __init__(self, members: Sequence[Encoder], num_classes: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.embedding_size = sum(member.embedding_size for member in members)
        self.classifier = nn.Linear(self.embedding_size, num_classes)

    def embed(self, features: tuple) -> Tensor:
        parts = [m.embed(f) for m, f in zip(self.members, features, strict=True)]
        return torch.cat(parts, dim=1)

    @property
    def summaries(self) -> tuple[dict[str, Tensor], ...]:
        """The members' tables, one after the other."""
        tables, offset = [], 0
        for member in self.members:
            for table in member.summaries:
                tables.append({name: columns + offset for name, columns in table.items()})
            offset += member.embedding_size
        return tuple(tables)


class JoinedModel(MoodModel):
    """A model whose embedding is that of its members; it hears at the highest of their rates."""

    def __init__(self, members: Sequence[MoodModel]) -> None:
        rate = max(member.sample_rate for member in members)
        frontends = [
            m.frontend if m.sample_rate == rate else Resampled(m.frontend, rate, m.sample_rate)
            for m in members
        ]
        moods = members[0].moods
        super().__init__(
            frontend=_FrontEnds(frontends),
            encoder=_Encoders([member.encoder for member in members], len(moods)),
            moods=moods,
            sample_rate=rate,
        )
        self.note = "; ".join(dict.fromkeys(member.note for member in members if member.note))
        # Not submodules a second time: they are the front ends and encoders above.
        self._members = tuple(
            MoodModel(frontend=f, encoder=m.encoder, moods=moods, sample_rate=rate)
            for f, m in zip(frontends, members, strict=True)
        )

    @property
    def members(self) -> tuple[MoodModel, ...]:
        return self._members
