"""A model that was exported to ONNX, run by ONNX Runtime in place of PyTorch."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from melodai.errors import CheckpointError, DependencyError
from melodai.metrics import SMALLEST
from melodai.models.base import Encoder, MoodModel

INPUT, OUTPUTS = "waveform", ("probabilities", "embedding")


class _Waveforms(nn.Module):
    """The front end is inside the graph: waveforms pass, each at its own length.

    Shape: `(batch, time) -> (batch, time)`, or a list of `(1, time)` where the lengths differ.
    """

    def forward(
        self, waveform: Tensor, num_samples: Tensor | None = None, draw: None = None
    ) -> Tensor | list[Tensor]:
        if num_samples is None or bool((num_samples == waveform.shape[1]).all()):
            return waveform
        return [waveform[i : i + 1, :length] for i, length in enumerate(num_samples.tolist())]


class _LastColumns(nn.Module):
    """The logits, which stand behind the embedding."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, embedding: Tensor) -> Tensor:
        return embedding[:, -self.count :]


class GraphEncoder(Encoder):
    """The graph. Its embedding is followed by the logits, which cannot be had from it afterwards.

    Args:
        session: of ONNX Runtime.
        temperature: by which the graph divides its logits.
    """

    def __init__(self, session, num_classes: int, embedding_size: int, temperature: float) -> None:
        super().__init__()
        self._session, self._temperature = session, temperature
        self.embedding_size = embedding_size + num_classes
        self.classifier = _LastColumns(num_classes)

    def embed(self, features: Tensor | list[Tensor]) -> Tensor:
        parts = [features] if isinstance(features, Tensor) else features
        return torch.cat([self._run(part) for part in parts])

    def _run(self, waveform: Tensor) -> Tensor:
        found = self._session.run([*OUTPUTS], {INPUT: waveform.float().cpu().numpy()})
        probabilities, embedding = map(torch.from_numpy, found)
        logits = self._temperature * probabilities.clamp_min(SMALLEST).log()
        return torch.cat([embedding, logits], dim=1).to(waveform.device)


def open_graph(path: Path) -> tuple[Mapping[str, str], "GraphModel"]:
    """What the file says of itself, and the model.

    Raises:
        DependencyError: ONNX Runtime is not installed.
        CheckpointError: the file cannot be read or is not a graph that `melodai-export` wrote.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError as error:
        raise DependencyError(
            f"{path} needs ONNX Runtime:  python -m pip install 'melodai[export]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        # From its bytes: a graph that points to other files cannot reach them.
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except (
        OSError, errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf,
        errors.NotImplemented, errors.RuntimeException,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is not an ONNX graph that can be run: {reason}") from error
    said = session.get_modelmeta().custom_metadata_map
    shapes = {output.name: output.shape for output in session.get_outputs()}
    if shapes.keys() != {*OUTPUTS} or not {"moods", "sample_rate", "temperature"} <= said.keys():
        raise CheckpointError(f"{path} was not written by melodai-export")
    return said, GraphModel(session, said, shapes["embedding"][1])


class GraphModel(MoodModel):
    """The graph as a model like any other; it has no weights of PyTorch."""

    def __init__(self, session, said: Mapping[str, str], embedding_size: int) -> None:
        moods = tuple(json.loads(said["moods"]))
        encoder = GraphEncoder(session, len(moods), embedding_size, float(said["temperature"]))
        super().__init__(
            frontend=_Waveforms(), encoder=encoder, moods=moods,
            sample_rate=int(said["sample_rate"]),
        )  # fmt: skip
