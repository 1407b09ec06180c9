"""A pretraining run: from folders of music to weights for `--init`."""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from melodai.checkpoint import LAST, load_checkpoint
from melodai.config import DataConfig, FrontEndConfig, PretrainConfig
from melodai.data.cache import build_cache
from melodai.data.corpus import Corpus, prepare
from melodai.data.store import CachedTrack
from melodai.data.tracks import is_audio_name, listing
from melodai.environment import check_torch_packages, find_device
from melodai.errors import DataError, SettingError
from melodai.files import replace_text
from melodai.interrupt import graceful_interrupt
from melodai.models import MoodModel, build_model
from melodai.models.registry import JOIN, PretrainedOptions
from melodai.run import claim
from melodai.training.monitor import Monitor
from melodai.training.pretrain import Music, Pretrainer, save_pretrained
from melodai.training.teacher import LabelledSongs

SHORTEST_SECONDS = 10.0  # jingles and effects of games are no music
STUDENT_FRONT_END = FrontEndConfig(image_size=128)  # 128 bands, one frame a column in 3 seconds


def pretrain(
    music: Sequence[Path],
    labelled: Sequence[DataConfig],
    config: PretrainConfig,
    monitor: Monitor | None = None,
) -> Path:
    """Pretrains a network; a run folder that was interrupted is gone on with.

    Args:
        music: files and folders to hear, without labels.
        labelled: data sets to hear, whose moods the teachers' probes learn; they need folds.

    Returns:
        The file of the weights.

    Raises:
        MelodaiError: settings, music or weights that cannot be used.
        Interrupted: stopped by Ctrl-C or SIGTERM, after saving.
    """
    check_torch_packages()
    monitor = monitor or Monitor()
    device = find_device(config.device)
    frontend = STUDENT_FRONT_END
    run = config.out or default_run_folder(config.arch)
    teachers = [_teacher(name, config) for name in config.teacher.split(JOIN)]
    heard = _music(music, labelled, config, frontend.sample_rate, monitor)
    student = build_model(config.arch, 2, frontend=frontend, pooling="mean-max")
    with graceful_interrupt() as stop, claim(run):
        trainer = Pretrainer(
            student=student, teachers=teachers, music=heard, config=config, device=device, run=run,
            monitor=monitor, stop=stop,
        )  # fmt: skip
        if (run / LAST).exists():
            state = load_checkpoint(run / LAST)
            if state["config"] != config.to_json():
                raise SettingError(f"{run} holds a run with other settings; choose another --out")
            trainer.load(state)
        else:
            trainer.prepare_targets()
            trainer.prepare_student()
        replace_text(run / "config.json", config.to_json())
        replace_text(run / "music.json", json.dumps(heard.heard(), indent=1) + "\n")
        try:
            trainer.fit()
        finally:
            monitor.finish()
        return save_pretrained(run, student, config.arch, frontend)


def default_run_folder(arch: str) -> Path:
    """`runs/<time>-pretrain-<arch>`."""
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-pretrain-{arch}"


def _teacher(name: str, config: PretrainConfig) -> MoodModel:
    """The network with all its layers, its tags among them."""
    options = PretrainedOptions(weights_dir=config.weights_dir, offline=config.offline)
    model = build_model(name, 2, pretrained=options)
    backbone = getattr(model.encoder, "backbone", None)
    if backbone is None:
        raise SettingError(f"--teacher {name}: a pretrained network of sound is needed")
    layers = [*backbone.default_layers, *(["logits"] if backbone.tag_names else [])]
    options = dataclasses.replace(options, layers=JOIN.join(layers))
    return build_model(name, 2, pretrained=options)


def _music(
    music: Sequence[Path],
    labelled: Sequence[DataConfig],
    config: PretrainConfig,
    sample_rate: int,
    monitor: Monitor,
) -> Music:
    """Decodes everything; songs of the fold left out, and some without labels, are kept aside."""
    corpora = [
        prepare(data, sample_rate, lambda done, total, path: monitor.decoding(done, total))
        for data in labelled
    ]
    entries: list[CachedTrack] = []
    folds, kept, sets, known = [], [], [], set()
    for corpus in corpora:
        own = _folds(corpus)
        sets.append(
            LabelledSongs(
                name=corpus.name,
                moods=np.array(corpus.classes),
                folds=own,
                rows=np.arange(len(entries), len(entries) + len(corpus.entries)),
            )
        )
        entries += corpus.entries
        folds += own.tolist()
        kept += (own == config.fold).tolist() if config.fold is not None else [False] * len(own)
        known |= set(corpus.keys)
    for entry in _unlabelled(music, config, sample_rate, monitor):
        if entry.key not in known and entry.num_samples >= SHORTEST_SECONDS * sample_rate:
            known.add(entry.key)
            entries.append(entry)
            folds.append(-1)
            kept.append(int(entry.key[:8], 16) / 2**32 < config.kept_share)
    if not entries or all(kept):
        raise DataError(f"no music of at least {SHORTEST_SECONDS:g} s to learn from")
    return Music(entries, np.array(folds), sets, np.array(kept))


def _folds(corpus: Corpus) -> np.ndarray:
    folds = [track.fold for track in corpus.tracks]
    if None in folds:
        raise DataError(f"{corpus.name} has no folds: give it as MUSIC, without its labels")
    return np.array(folds)


def _unlabelled(
    music: Sequence[Path], config: PretrainConfig, sample_rate: int, monitor: Monitor
) -> list[CachedTrack]:
    paths = []
    for place in music:
        if not place.exists():
            raise DataError(f"{place}: no such folder or file")
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        paths += [path for path in inside if path.is_file() and is_audio_name(path)]
    report = build_cache(
        paths, sample_rate=sample_rate, cache_dir=config.cache_dir,
        num_decoders=config.num_decoders,
        on_progress=lambda done, total, path: monitor.decoding(done, total),
    )  # fmt: skip
    if report.failures:
        names = listing(f"{failure.path.name}: {failure.reason}" for failure in report.failures)
        monitor.warning(f"{len(report.failures)} files cannot be used: {names}")
    return list(report.entries.values())
