"""Run folders as `melodai-train` and `melodai-evaluate` leave them, of untrained networks."""

import json
from pathlib import Path

import torch

from melodai.checkpoint import model_state, save_checkpoint
from melodai.config import Config
from melodai.models import build_model
from melodai.references import FILE_NAME, References

MOODS = ("energetic", "peaceful", "emotional")
EVALUATION = {
    "data": "emotify",
    "moods": MOODS,
    "num_tracks": 60,
    "num_artists": 21,
    "calibration": {
        "pooling": "max",
        "track_temperature": 1.2592774963265299,
        "segment_temperature": 1.386,
    },
    "tracks": {
        "accuracy": {"value": 0.5333, "low": 0.3667, "high": 0.7021},
        "macro F1": {"value": 0.5416, "low": 0.3731, "high": 0.6968},
        "F1 peaceful": {"value": 0.6111, "low": None, "high": None},
    },
    "provenance": {"commit": "38da39c7fcb6"},
}


def make_run(folder: Path, arch: str = "residual", **options: object) -> Path:
    """A small one: windows of 3 s, pictures of 64 x 64."""
    folder.mkdir(parents=True)
    small = {"segment_seconds": 3.0, "image_size": 64, "data": Path("/home/me/songs")}
    config = Config().with_options(**small | options)
    torch.manual_seed(0)
    model = build_model(arch, MOODS, frontend=config.frontend)
    with torch.no_grad():  # even odds would hide an error
        model.encoder.classifier.weight.mul_(20)
    save_checkpoint(folder / "best.pt", {**model_state(model, arch, config), "epoch": 7})
    (folder / "metrics.json").write_text('{"data": "emotify", "versions": {"commit": "abc123"}}')
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION))
    names = [f"song {i}" for i in range(6)]
    size = model.encoder.embedding_size
    embeddings = 10 * torch.randn(6, size).abs()
    references = References.of(embeddings, names, ["a", "b", "c"] * 2, MOODS * 2)
    references.save(folder / FILE_NAME)
    return folder
