"""The whole benchmark: clips in, tables out."""

import csv
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from melodai.audio import AUDIO_SUFFIXES, decode
from melodai.config import FrontEndConfig
from melodai.data.demo import read_demo
from melodai.environment import versions
from melodai.errors import DataError
from melodai_studies.benchmark.gpu import Rate, measure_rates
from melodai_studies.benchmark.memory import PeakMemory, measure_memory
from melodai_studies.benchmark.report import to_markdown
from melodai_studies.benchmark.timing import Timing, measure
from melodai_studies.benchmark.ways import decode_ways, log_mel_ways, slow_pitch_ways, training_ways

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """All that was measured in one run.

    Attributes:
        conditions: machine, versions, commit, threads, seed, clips.
        rates: empty without a GPU.
    """

    conditions: dict[str, str]
    timings: list[Timing]
    memory: list[PeakMemory]
    rates: list[Rate]

    def write(self, folder: Path) -> None:
        """`benchmark.csv` with the numbers, `benchmark.md` with tables and targets."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "benchmark.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["kind", "what", "way", "value", "unit"])
            for key, value in self.conditions.items():
                table.writerow(["condition", key, "", value, ""])
            for t in self.timings:
                table.writerow(
                    ["time", t.task, t.way, f"{t.milliseconds:.3f}", "ms a clip, median"]
                )
                table.writerow(["time", t.task, t.way, f"{t.fastest:.3f}", "ms a clip, fastest"])
                processor = f"{t.processor_milliseconds:.3f}"
                table.writerow(["time", t.task, t.way, processor, "ms a clip, processor"])
                table.writerow(
                    ["ratio", t.task, t.way, f"{t.ratio:.3f}", "to the task's first way"]
                )
            for m in self.memory:
                table.writerow(["memory", "training", f"{m.num_songs} songs", m.peak_mb, "MB"])
            for r in self.rates:
                table.writerow(
                    ["rate", "gpu", r.work, f"{r.clips_per_second:.0f}", "clips a second"]
                )
        (folder / "benchmark.md").write_text(self.to_markdown(), encoding="utf-8")

    def to_markdown(self) -> str:
        """The tables."""
        return to_markdown(self.conditions, self.timings, self.memory, self.rates)


def run_benchmark(
    data: Path | None = None,
    *,
    num_clips: int = 8,
    seconds: float = 45.0,
    rounds: int = 15,
    num_songs: int = 20,
    threads: int | None = None,
    seed: int = 0,
) -> Benchmark:
    """Measures everything on the same clips.

    Args:
        data: folder of audio files; the demo clips without it.
        num_clips: how many of them.
        seconds: length of a clip; shorter files are repeated.
        num_songs: of the smaller corpus whose training's memory is measured; 0 leaves it out.
        threads: of torch. On a machine with other work to do, one is measured best: several wait
            for each other, and what counts then is how often.

    Raises:
        DataError: no audio files there.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    settings = FrontEndConfig()
    paths = _paths(data)[:num_clips]
    waveforms = [decode(path, settings.sample_rate).waveform for path in paths]
    clips = _clips(waveforms, round(seconds * settings.sample_rate))
    ways = [
        *decode_ways(paths, settings.sample_rate),
        *log_mel_ways(clips, settings, seed),
        *slow_pitch_ways(clips, settings, seed),
        *training_ways(clips, settings, seed),
    ]
    timings = measure(
        ways,
        rounds,
        seed=seed,
        on_round=lambda done: logger.info("round %d of %d", done, rounds),
    )
    logger.info("memory")
    memory = measure_memory(num_songs) if num_songs else []
    rates = []
    if torch.cuda.is_available():
        rates = measure_rates(clips, settings, seed, device=torch.device("cuda"))
    conditions = {
        **versions(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "seed": str(seed),
        "clips": f"{len(clips)} of {seconds:g} s, {'demo' if data is None else data.name}",
        "rounds": str(rounds),
        "load of the machine (1 min)": f"{os.getloadavg()[0]:.1f}" if os.name != "nt" else "?",
    }
    return Benchmark(conditions=conditions, timings=timings, memory=memory, rates=rates)


def _paths(data: Path | None) -> list[Path]:
    if data is None:
        return [track.path for track in read_demo().tracks]
    paths = [p for p in sorted(data.rglob("*")) if p.suffix.lower() in AUDIO_SUFFIXES]
    if not paths:
        raise DataError(f"no audio files in {data}")
    return paths


def _clips(waveforms: Sequence[np.ndarray], num_samples: int) -> Tensor:
    """float32 `(clip, time)`."""
    rows = [np.resize(waveform, num_samples) for waveform in waveforms]
    return torch.from_numpy(np.stack(rows)).float() / 32768


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
