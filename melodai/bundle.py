"""A model with all that is needed to answer for a song: windows, pooling, calibration.

It is read from a run folder or from a folder that `melodai-export` wrote:

    model.json               what the model is; the sha256 of every other file, and of itself
    model.safetensors        the weights
    references.safetensors   the songs it learned from, if they were kept
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from melodai.checkpoint import BEST, load_checkpoint, restore_model
from melodai.config import Config, Seconds
from melodai.errors import CheckpointError, SettingError
from melodai.labels import AUTO, QUADRANTS, THREE, parse_moods
from melodai.models import MoodModel
from melodai.models.graph import open_graph
from melodai.models.heads import ProbeHead
from melodai.references import FILE_NAME, References

FORMAT = 1
DESCRIPTION, WEIGHTS, CHECKSUM = "model.json", "model.safetensors", "sha256"
# What comes with the package, by the set of moods that it tells.
DEFAULT_MODEL = Path(__file__).parent / "default_model"
DEFAULT_MODELS = {THREE: DEFAULT_MODEL, QUADRANTS: DEFAULT_MODEL / "quadrants"}


@dataclass(frozen=True, kw_only=True)
class ModelBundle:
    """What answers for a song.

    Attributes:
        config: the settings it was trained with.
        segment_seconds: length of a window, or "full".
        pooling: of the windows' probabilities into the song's, see `metrics.pool_by_track`.
        temperature: of the song's probabilities (`evaluation.calibration`), 1 if not calibrated.
        segment_temperature: likewise of one window's.
        is_calibrated: whether these were fitted on songs set aside for it.
        references: the songs it learned from; None where they were not kept.
        about: what is known of where it comes from: arch, data, commit, seed, …; `note` is what
            must be said with any result.
        scores: what `melodai-evaluate` found (`evaluation.json`); empty where it did not look.
        source: the path or name it was asked for.
    """

    model: MoodModel
    config: Config
    segment_seconds: Seconds
    pooling: str
    temperature: float
    segment_temperature: float
    is_calibrated: bool
    references: References | None
    about: dict[str, str]
    scores: dict[str, Any]
    source: str


def load_bundle(where: Path | str | None = None, moods: str = AUTO) -> ModelBundle:
    """The model of a run folder, an exported folder, a checkpoint or ONNX file; no code in it runs.

    Args:
        where: None is the model that comes with melodai.
        moods: which of those that come with melodai: `three`, the default, or `quadrants`.

    Raises:
        CheckpointError: there is no model at that place, or it is damaged.
        SettingError: no model for these moods comes with melodai, or another model is named too.
    """
    wanted = parse_moods(moods)
    if where is not None and wanted is not None:
        raise SettingError(f"--moods chooses a model that comes with melodai; {where} has its own")
    if wanted is not None and wanted not in DEFAULT_MODELS:
        raise SettingError(
            f"--moods {moods}: what comes with melodai tells three or quadrants; train a model of "
            "your moods with melodai-train, and name it with --model"
        )
    path = DEFAULT_MODELS[wanted or THREE] if where is None else Path(where)
    if path.suffix == ".onnx":
        return _of_graph(path)
    if (path / DESCRIPTION).is_file():
        return _exported(path, str(where or "default"))
    if where is None:
        raise CheckpointError(
            "no model comes with this installation; name one with --model: a run folder of "
            "melodai-train or a folder that melodai-export wrote"
        )
    return _of_run(path)


def checksum(content: bytes) -> str:
    """sha256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def description_checksum(description: Mapping[str, Any]) -> str:
    """sha256 of what `model.json` says, the checksum itself left out."""
    said = {key: value for key, value in description.items() if key != CHECKSUM}
    return checksum(json.dumps(said, sort_keys=True).encode())


def _of_run(path: Path) -> ModelBundle:
    """The best epoch of a run, with the calibration that `melodai-evaluate` wrote beside it."""
    best = path / BEST if path.is_dir() else path
    state, folder = load_checkpoint(best), best.parent
    config = Config.from_json(state["config"])
    metrics, scores = read_json(folder / "metrics.json"), read_json(folder / "evaluation.json")
    calibration = scores.get("calibration") or {}
    references = folder / FILE_NAME
    model = restore_model(state, best)
    about = {
        "arch": state["arch"],
        "mode": metrics.get("mode"),
        "head": metrics.get("head"),
        "note": metrics.get("note"),
        "data": metrics.get("data"),
        "fold": "none: all songs" if config.data.all_songs else str(config.data.fold),
        "epoch": str(state["epoch"]) if "epoch" in state else None,
        "seed": str(config.training.seed),
        # As it was when the run began: later versions of melodai know more settings.
        "config_hash": metrics.get("config_hash", config.hash()),
        "commit": metrics.get("versions", {}).get("commit"),
    }
    return ModelBundle(
        model=model,
        config=config,
        segment_seconds=config.data.segment_seconds,
        pooling=calibration.get("pooling", "mean"),
        temperature=calibration.get("track_temperature", 1.0),
        segment_temperature=calibration.get("segment_temperature", 1.0),
        # A probe's temperature was chosen with its heads, on songs held out in turn.
        is_calibrated=bool(calibration) or isinstance(model.encoder.classifier, ProbeHead),
        references=References.load(references) if references.is_file() else None,
        about={key: value for key, value in about.items() if value},
        scores=scores,
        source=str(path),
    )


def _exported(folder: Path, source: str) -> ModelBundle:
    said = _description(folder / DESCRIPTION)
    try:
        files = said["files"]
        content = _whole(folder / WEIGHTS, files[WEIGHTS])
        references = None
        if FILE_NAME in files:
            _whole(folder / FILE_NAME, files[FILE_NAME])
            references = References.load(folder / FILE_NAME)
        settings = json.dumps(said["config"])
        state = {
            "arch": said["about"]["arch"], "moods": said["moods"], "config": settings,
            "encoder": load_tensors(content),
        }  # fmt: skip
        return ModelBundle(
            model=restore_model(state, folder / WEIGHTS),
            config=Config.from_json(settings),
            segment_seconds=said["segment_seconds"],
            pooling=said["pooling"],
            temperature=said["temperature"],
            segment_temperature=said["segment_temperature"],
            is_calibrated=said["is_calibrated"],
            references=references,
            about=said["about"],
            scores=said["scores"],
            source=source,
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / DESCRIPTION} does not describe a model: {error}"
        ) from error
    except SafetensorError as error:
        raise CheckpointError(f"{folder / WEIGHTS} is not a safetensors file: {error}") from error


def _of_graph(path: Path) -> ModelBundle:
    """An exported ONNX file alone: it knows no reference songs and no scores."""
    said, model = open_graph(path)
    try:
        seconds = said["segment_seconds"]
        return ModelBundle(
            model=model.eval(),
            config=Config().with_options(pieces=int(said.get("pieces", 0))),
            segment_seconds=seconds if seconds == "full" else float(seconds),
            pooling=said["pooling"],
            temperature=float(said["song_temperature"]),
            segment_temperature=float(said["temperature"]),
            is_calibrated=json.loads(said["is_calibrated"]),
            references=None,
            about=json.loads(said["about"]),
            scores={},
            source=str(path),
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} does not say how it is to be used: {error}") from error


def _description(path: Path) -> dict[str, Any]:
    said = read_json(path)
    if said.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is of format {said.get('format')!r}; this melodai reads format {FORMAT}"
        )
    if said.get(CHECKSUM) != description_checksum(said):
        raise CheckpointError(f"{path} was changed after it was written; export the model again")
    return said


def _whole(path: Path, sha256: str) -> bytes:
    """What is in a file, if it is what was written into it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"could not read {path}: {error.strerror}") from error
    if checksum(content) != sha256:
        raise CheckpointError(f"{path} is damaged or another file; copy or export it again")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(said, dict):
        raise CheckpointError(f"{path} is damaged: it is no JSON object")
    return said
