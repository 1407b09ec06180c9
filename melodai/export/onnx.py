"""A model as one ONNX graph, from the waveform to the probabilities."""

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from melodai.bundle import ModelBundle
from melodai.data.segments import samples_of
from melodai.errors import DependencyError, SettingError
from melodai.models.graph import INPUT, OUTPUTS

TOLERANCE = 1e-4
# Where a model hears whole songs, the graph is traced with this much of one; any length will do.
EXAMPLE_SECONDS = 10.0


class _Answer(nn.Module):
    """Calibrated probabilities `(batch, mood)` of one window each, and its embedding."""

    def __init__(self, bundle: ModelBundle) -> None:
        super().__init__()
        self.model, self.temperature = bundle.model, bundle.segment_temperature

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.model.embed(waveform)
        logits = self.model.encoder.classifier(embedding)
        return (logits / self.temperature).softmax(1), embedding


def export_onnx(bundle: ModelBundle, path: Path) -> float:
    """Writes the model with its whole front end, and holds it against PyTorch.

    Input `waveform (batch, time)` float32 in [-1, 1] at the model's sample rate; outputs
    `probabilities (batch, mood)`, calibrated for one window, and `embedding`. Both sizes are free.
    Songs shorter than a window are to be repeated from their start by the caller, as in
    `data.waveforms`; level and silence are handled inside. What the caller has to know is in the
    file's metadata: moods, sample_rate, segment_seconds, pooling, temperature (it
    is applied inside already) and song_temperature (of the pooled probabilities, to be applied).

    Returns:
        The largest difference from PyTorch on two batches of noise, of another number or length
        than the graph was traced with: of a probability, or of an embedding, as a share of
        the largest value in it where that is above 1.

    Raises:
        DependencyError: a package of the extra `export` is missing.
        SettingError: the network cannot be expressed in ONNX, or comes out different there.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise DependencyError(
            f"{error.name} is missing; --no-onnx does without, or install it with:  "
            "python -m pip install 'melodai[export]'"
        ) from error
    answer = _Answer(bundle).eval()
    example = _noise(bundle, batch=2, share=1.0)
    sizes = {INPUT: {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own exporter
        try:
            program = torch.onnx.export(
                answer, (example,), dynamo=True, dynamic_shapes=sizes, verbose=False,
                input_names=[INPUT], output_names=[*OUTPUTS],
            )  # fmt: skip
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise SettingError(
                f"{bundle.about['arch']} cannot be written as ONNX ({reason}); --no-onnx leaves it "
                "out"
            ) from error
    graph = program.model_proto
    onnx.helper.set_model_props(graph, metadata(bundle))
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    difference = 0.0
    # No shorter than a window: pretrained front ends are made of whole patches.
    for batch, share in ((3, 1.0), (1, 1.3)):
        waveform = _noise(bundle, batch, share)
        found = session.run(None, {INPUT: waveform.numpy()})
        with torch.inference_mode():
            expected = answer(waveform)
        for one, other in zip(found, expected, strict=True):
            apart = (torch.from_numpy(one) - other).abs().max() / other.abs().max().clamp_min(1.0)
            difference = max(difference, apart.item())
    if not difference <= TOLERANCE:
        raise SettingError(
            f"{bundle.about['arch']} differs by {difference:.1g} between ONNX Runtime "
            f"{onnxruntime.__version__} and PyTorch {torch.__version__}; --no-onnx leaves it out"
        )
    return difference


def metadata(bundle: ModelBundle) -> dict[str, str]:
    """What a program that runs the graph has to know."""
    return {
        "moods": json.dumps(bundle.model.moods),
        "sample_rate": str(bundle.model.sample_rate),
        "segment_seconds": str(bundle.segment_seconds),
        "pieces": str(bundle.config.data.pieces),
        "pooling": bundle.pooling,
        "temperature": repr(bundle.segment_temperature),
        "song_temperature": repr(bundle.temperature),
        "is_calibrated": json.dumps(bundle.is_calibrated),
        "about": json.dumps(bundle.about),
    }


def _noise(bundle: ModelBundle, batch: int, share: float) -> Tensor:
    """`(batch, time)`, of the given share of a window."""
    rate = bundle.model.sample_rate
    window = samples_of(bundle.segment_seconds, rate) or round(EXAMPLE_SECONDS * rate)
    generator = torch.Generator().manual_seed(batch)
    return 0.1 * torch.randn(batch, round(share * window), generator=generator)
