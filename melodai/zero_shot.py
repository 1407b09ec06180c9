"""A pretrained network as it is, its own tags read as moods: no training, no labels.

How often a network says a tag at all differs from tag to tag. What is usual is kept in a small file
for each network, made by `scripts/keep_zero_shot.py` from a run of `melodai-train --mode zero-shot
--all-songs`.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from melodai.bundle import ModelBundle, load_bundle
from melodai.checkpoint import BEST, load_checkpoint
from melodai.config import TAG_LAYER, Config
from melodai.errors import CheckpointError, SettingError
from melodai.labels import AUTO
from melodai.models.heads import ProbeHead
from melodai.models.registry import PretrainedOptions, build_model, find_architecture

PREFIX = "classifier."


def keep_zero_shot(run: Path, out: Path) -> Path:
    """Writes what is usual, from a zero-shot run, to `out`.

    Raises:
        SettingError: another kind of run.
    """
    state = load_checkpoint(run / BEST)
    config = Config.from_json(state["config"])
    if config.model.mode != "zero-shot":
        raise SettingError(f"{run} was not made with --mode zero-shot")
    head = {k: v.contiguous() for k, v in state["encoder"].items() if k.startswith(PREFIX)}
    bundle = load_bundle(run)
    about = {
        "moods": " ".join(state["moods"]),
        "segment_seconds": str(config.data.segment_seconds),
        "pooling": bundle.pooling,
        "temperature": repr(bundle.temperature),
        "segment_temperature": repr(bundle.segment_temperature),
        "commit": bundle.about.get("commit", ""),
        "data": bundle.about.get("data", ""),
    }
    save_file(head, out, metadata=about)
    return out


def load_zero_shot(arch: str) -> ModelBundle:
    """The network with its published weights, answering by its tags.

    Raises:
        SettingError: it has no tags that name moods, or what is usual is not known.
        MelodaiError: its weights cannot be had.
    """
    path = find_architecture(arch).zero_shot
    if path is None:
        raise SettingError(
            f"{arch} cannot answer as it is; train a probe:  melodai-train --arch {arch} --data …"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    options = PretrainedOptions(layers=TAG_LAYER)
    model = build_model(arch, about["moods"].split(), pretrained=options)
    head = ProbeHead.of_state(state)
    head.load_state_dict({k.removeprefix(PREFIX): v for k, v in state.items()})
    model.encoder.classifier = head
    seconds = float(about["segment_seconds"])
    config = Config().with_options(arch=arch, mode="zero-shot", segment_seconds=seconds)
    return ModelBundle(
        model=model.eval(),
        config=config,
        segment_seconds=seconds,
        pooling=about["pooling"],
        temperature=float(about["temperature"]),
        segment_temperature=float(about["segment_temperature"]),
        is_calibrated=True,
        references=None,
        about={
            "arch": arch, "mode": "zero-shot", "data": about["data"], "commit": about["commit"],
            **({"note": model.note} if model.note else {}),
        },
        scores={},
        source=arch,
    )  # fmt: skip


def open_model(where: Path | str | None = None, moods: str = AUTO) -> ModelBundle:
    """What `--model` names: a run, an exported model, an ONNX file, or an architecture as it is.

    Args:
        where: None is the model that comes with melodai.
        moods: see `load_bundle`.

    Raises:
        MelodaiError: there is no model of that name or at that place.
    """
    name = "" if where is None else str(where)
    if name and moods == AUTO and not Path(where).exists() and _is_architecture(name):
        return load_zero_shot(name)
    return load_bundle(where, moods)


def _is_architecture(name: str) -> bool:
    try:
        find_architecture(name)
    except SettingError:
        return False
    return True
