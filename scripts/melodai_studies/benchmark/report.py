"""The benchmark as Markdown."""

from collections.abc import Mapping, Sequence

from melodai_studies.benchmark.gpu import Rate
from melodai_studies.benchmark.memory import PeakMemory
from melodai_studies.benchmark.timing import Timing
from melodai_studies.benchmark.ways import FEATURES, LOG_MEL, OURS, PITCHED


def to_markdown(
    conditions: Mapping[str, str],
    timings: Sequence[Timing],
    memory: Sequence[PeakMemory],
    rates: Sequence[Rate],
) -> str:
    """Tables of times, targets, memory, rates and conditions."""
    parts = [
        "# Benchmark",
        "Made by `python scripts/benchmark.py`. All ways ran in turn on the same clips, in another "
        "order each round; times are medians a clip (processor: of all cores together), ratios "
        "medians over the rounds, to the first way of the task.",
        _table(
            ("task", "way", "ms a clip", "fastest", "processor ms", "ratio"),
            [
                (
                    t.task,
                    t.way,
                    f"{t.milliseconds:.2f}",
                    f"{t.fastest:.2f}",
                    f"{t.processor_milliseconds:.2f}",
                    f"{t.ratio:.2f}",
                )
                for t in timings
            ],
        ),
        "## Targets",
        _table(("target", "measured", "reached"), _targets(timings, memory, rates)),
    ]
    if memory:
        rows = [(m.num_songs, f"{m.corpus_mb:.0f}", f"{m.peak_mb:.0f}") for m in memory]
        parts += [
            "## Memory of training",
            "Peak of the training process, decoding included.",
            _table(("songs of 30 s", "decoded, MB", "peak, MB"), rows),
        ]
    if rates:
        rows = [
            (r.work, f"{r.clips_per_second:,.0f}", f"{r.milliseconds_per_batch:.1f}") for r in rates
        ]
        parts += ["## GPU", _table(("work", "clips a second", "ms a batch"), rows)]
    parts += ["## Conditions", _table(("what", "value"), list(conditions.items()))]
    return "\n\n".join(parts) + "\n"


def _targets(
    timings: Sequence[Timing], memory: Sequence[PeakMemory], rates: Sequence[Rate]
) -> list[tuple[str, str, str]]:
    times = {(t.task, t.way): t for t in timings}
    pitched = times[LOG_MEL, PITCHED].ratio

    def slower_than_ours(package: str) -> float:
        return next(t.ratio for (_, way), t in times.items() if way.startswith(package))

    torchaudio = slower_than_ours("torchaudio MelSpectrogram")
    librosa = slower_than_ours("librosa pitch_shift") / pitched
    features = times["training step", FEATURES].ratio
    rows = [
        (f"log-mel at least 3 times as fast as torchaudio ({OURS})", torchaudio, torchaudio >= 3),
        ("pitch, tempo and log-mel at most 1.1 times log-mel", pitched, pitched <= 1.1),
        ("and at least 100 times as fast as librosa's effects", librosa, librosa >= 100),
        ("features at most 0.2 of the network's step", features, features <= 0.2),
    ]
    table = [(what, f"{value:.2f}", "yes" if reached else "no") for what, value, reached in rows]
    if memory:
        grown = memory[-1].peak_mb - memory[0].peak_mb
        corpus = memory[-1].corpus_mb - memory[0].corpus_mb
        what = f"memory flat while the corpus grows by {corpus:.0f} MB"
        table.append((what, f"{grown:+.0f} MB", "yes" if grown < 0.1 * corpus else "no"))
    for rate in rates[:1]:
        what = "20,000 log-mel clips a second on a GPU (H200 class)"
        reached = "yes" if rate.clips_per_second >= 20_000 else "no"
        table.append((what, f"{rate.clips_per_second:,.0f}", reached))
    return table


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
