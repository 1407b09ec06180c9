"""What is learned from one data set and holds for another: probes, on songs of artists held out."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from melodai.config import Config
from melodai.cross_validation import Folds, folds_of
from melodai.data.segments import samples_of
from melodai.embeddings import SongEmbeddings, classify, embed_songs
from melodai.environment import find_device, versions
from melodai.evaluation.figures import error_bars, new_figure, save_figure, share_axis
from melodai.evaluation.intervals import Interval, score_intervals
from melodai.evaluation.predictions import make_predictions
from melodai.files import replace_text
from melodai.models import MoodModel
from melodai.palette import colour_of
from melodai.probe.choose import choose_head
from melodai.probe.examples import Examples
from melodai.training.run import build_for

SCORES = ("accuracy", "macro F1", "log-loss")
BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How right a probe is on the songs of one data set: `learned` and `tested` name data sets."""

    arch: str
    learned: str
    tested: str
    num_songs: int
    scores: dict[str, Interval]


def measure_transfer(config: Config, archs: Sequence[str]) -> list[Transfer]:
    """Every probe fitted to each data set and to all, and tested on each.

    A song is always tested by a head that has learned from no song of its fold, in any data set.

    Args:
        config: with the data sets; its `head` is the kind of all heads.
    """
    rows = []
    for arch in archs:
        own = config.with_options(arch=arch, mode="probe")
        folds = folds_of(own)
        model = build_for(own, arch, folds.corpus.moods)
        names = sorted({track.data for track in folds.corpus.tracks})
        for learned in (*names, BOTH):
            rows += _tested(own, model, folds, learned)
    return rows


def _tested(config: Config, model: MoodModel, folds: Folds, learned: str) -> list[Transfer]:
    corpus, logits = folds.corpus, {}
    for fold in folds.numbers:
        known = [
            index
            for index, track in enumerate(corpus.tracks)
            if folds.of_song[index] != fold and learned in (track.data, BOTH)
        ]
        examples = Examples.of(corpus, known, _embedded(config, model, folds, known))
        model.encoder.classifier = choose_head(
            config.model.head, examples, model.encoder.summaries, seed=config.training.seed
        ).head
        held = [index for index, number in enumerate(folds.of_song) if number == fold]
        said = classify(model, _embedded(config, model, folds, held))
        for place, index in enumerate(held):
            logits[index] = said.logits[said.places == place].double().numpy()
    return [
        _scored(config, folds, learned, tested, logits)
        for tested in sorted({track.data for track in corpus.tracks})
    ]


def _embedded(config: Config, model: MoodModel, folds: Folds, tracks: list[int]) -> SongEmbeddings:
    return embed_songs(
        model, folds.corpus, tracks, name=config.model.arch, pieces=config.data.pieces,
        segment_samples=samples_of(config.data.segment_seconds, model.sample_rate),
        batch_size=config.training.batch_size, device=find_device(config.run.device),
        cache_dir=config.data.cache_dir,
    )  # fmt: skip


def _scored(
    config: Config, folds: Folds, learned: str, tested: str, logits: dict[int, np.ndarray]
) -> Transfer:
    corpus = folds.corpus
    indices = [index for index, track in enumerate(corpus.tracks) if track.data == tested]
    songs = [corpus.tracks[index] for index in indices]
    counts = [len(logits[index]) for index in indices]
    predictions = make_predictions(
        data=tested, split="test", moods=corpus.moods, names=[song.name for song in songs],
        labels=np.array([corpus.moods.index(song.mood) for song in songs]),
        logits=np.concatenate([logits[index] for index in indices]),
        tracks=np.repeat(np.arange(len(songs)), counts), starts_seconds=np.zeros(sum(counts)),
        lengths_seconds=np.ones(sum(counts)), artists=[song.artist for song in songs],
        soft=[song.scores for song in songs],
    )  # fmt: skip
    random = np.random.default_rng(config.training.seed)
    return Transfer(
        arch=config.model.arch, learned=learned, tested=tested, num_songs=len(songs),
        scores=score_intervals(predictions, random=random),
    )  # fmt: skip


def write_transfer(rows: Sequence[Transfer], config: Config, out: Path) -> None:
    """Writes `transfer.csv`, `transfer.md` and `transfer.png`."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "transfer.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        bounds = [f"{name}{end}" for name in SCORES for end in ("", " low", " high")]
        writer.writerow(["network", "learned from", "tested on", "songs", *bounds])
        for row in rows:
            found = [row.scores[name] for name in SCORES]
            values = [f"{v:.4f}" for s in found for v in (s.value, s.low, s.high)]
            writer.writerow([row.arch, row.learned, row.tested, row.num_songs, *values])
    lines = ["| network | learned from | tested on | accuracy | macro F1 | log-loss |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in rows:
        cells = [row.arch, row.learned, row.tested, *(str(row.scores[name]) for name in SCORES)]
        lines.append(f"| {' | '.join(cells)} |")
    data = config.data
    about = (
        f"Probes ({config.model.head}, {data.segment_seconds:g} s of a song in {data.pieces} "
        "pieces) on songs of folds of which the head learned nothing; artists apart. In brackets: "
        f"95 % interval, bootstrap over artists. Commit {versions()['commit']}, settings "
        f"{config.hash()}, seed {config.training.seed}; made by `python scripts/transfer.py`."
    )
    replace_text(out / "transfer.md", "\n".join([*lines, "", about]) + "\n")
    save_figure(transfer_figure(rows), out / "transfer.png")


def transfer_figure(rows: Sequence[Transfer]) -> Figure:
    """Accuracy by network: a panel for each set that is tested, a colour for what is learned."""
    archs = list(dict.fromkeys(row.arch for row in rows))
    tested = list(dict.fromkeys(row.tested for row in rows))
    learned = list(dict.fromkeys(row.learned for row in rows))
    about = "three moods, artists held out, 95 % intervals"
    figure, axes = new_figure("Learned here, heard there", about, 11, 5, columns=len(tested))
    for axis, name in zip(axes[0], tested, strict=True):
        for number, source in enumerate(learned):
            own = [row for row in rows if (row.tested, row.learned) == (name, source)]
            found = {row.arch: row.scores["accuracy"] for row in own}
            where = np.arange(len(archs)) + 0.27 * (number - 1)
            heights = [found[arch].value for arch in archs]
            axis.bar(where, heights, 0.25, color=colour_of(number), label=f"learned from {source}")
            error_bars(axis, where, [found[arch] for arch in archs])
        axis.set_xticks(
            range(len(archs)),
            [arch.replace("+", "\n+ ").replace("-", "-\n", 1) for arch in archs],
            fontsize=8,
        )
        axis.set_title(f"tested on {name}")
        share_axis(axis, "accuracy")
    axes[0, -1].legend(loc="upper right", ncols=len(learned), fontsize=8)
    return figure
