"""Why a model answers as it does for a song: its windows explained and laid over each other."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melodai.bundle import ModelBundle
from melodai.data.segments import evaluation_windows, samples_of
from melodai.errors import SettingError
from melodai.explain.contributions import Contributions, Span, mean_of, rebin, strongest
from melodai.explain.window import WindowExplanation, explain_window
from melodai.inference import to_float
from melodai.metrics import at_temperature, pool_by_track, softmax
from melodai.references import Neighbour

FORMAT = 1
# The song's own grid in time: as fine as people read, and not more cells than a page is wide.
CELL_SECONDS, MOST_CELLS = 0.5, 1000
STRONGEST_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class SongExplanation:
    """Why.

    Attributes:
        mood: the one that is explained.
        moods, probabilities: the song's calibrated answer.
        seconds: length of the song.
        windows: where each window starts and how long it is, in seconds, and why.
        contributions: over the song: the mean of the windows that cover a place. Where a song
            shorter than a window was repeated, the repetitions are added up.
        nearest: the songs the model learned from that are nearest; empty where not known.
        unfamiliarity: see `references`; NaN where not known.
    """

    mood: str
    moods: tuple[str, ...]
    probabilities: tuple[float, ...]
    seconds: float
    windows: tuple[tuple[float, float, WindowExplanation], ...]
    contributions: Contributions
    nearest: tuple[Neighbour, ...]
    unfamiliarity: float

    @property
    def answer(self) -> str:
        """The likeliest mood."""
        return self.moods[int(np.argmax(self.probabilities))]

    def probability(self, mood: str) -> float:
        """Of a mood, in the song."""
        return self.probabilities[self.moods.index(mood)]


def explain_song(
    bundle: ModelBundle,
    waveform: np.ndarray,
    *,
    mood: str | None = None,
    method: str = "auto",
    device: torch.device | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SongExplanation:
    """Explains a song, window by window.

    Args:
        waveform: int16 `(time,)` at the model's sample rate.
        mood: which to explain; the answer if None.
        method: see `explain_window`.
        on_progress: is told (done, total) steps.

    Raises:
        SettingError: the model knows no such mood, or the method cannot be used with it.
    """
    moods, rate = bundle.model.moods, bundle.model.sample_rate
    if mood is not None and mood not in moods:
        raise SettingError(f"--mood is {mood!r}; the model knows {', '.join(moods)}")
    device = device or torch.device("cpu")
    model = bundle.model.to(device).eval()
    windows = evaluation_windows(len(waveform), samples_of(bundle.segment_seconds, rate))

    def heard(start: int, length: int) -> Tensor:
        # A song shorter than the window is repeated from its start, as everywhere.
        samples = np.resize(waveform[start : start + length], length)
        return to_float(torch.from_numpy(samples)[None], device)

    with torch.inference_mode():
        embeddings = torch.cat([model.embed(heard(*window)).float() for window in windows])
        logits = model.encoder.classifier(embeddings).double().cpu().numpy()
    pooled = pool_by_track(softmax(logits), np.zeros(len(windows)), 1, bundle.pooling)
    probabilities = at_temperature(pooled, bundle.temperature)[0]
    chosen = moods.index(mood) if mood else int(probabilities.argmax())
    explained = []
    for number, (start, length) in enumerate(windows):

        def count(done: int, total: int, before: int = number) -> None:
            on_progress(before * total + done, len(windows) * total)

        why = explain_window(
            model, heard(start, length), chosen, temperature=bundle.segment_temperature,
            method=method, on_progress=count,
        )  # fmt: skip
        explained.append((start / rate, length / rate, why))
    seconds = len(waveform) / rate
    known = bundle.references
    embedding = embeddings.mean(0).cpu()
    return SongExplanation(
        mood=moods[chosen],
        moods=moods,
        probabilities=tuple(probabilities.tolist()),
        seconds=seconds,
        windows=tuple(explained),
        contributions=merged(explained, seconds),
        nearest=() if known is None else tuple(known.nearest(embedding)),
        unfamiliarity=math.nan if known is None else known.unfamiliarity(embedding[None]).item(),
    )


def merged(
    windows: Sequence[tuple[float, float, WindowExplanation]], seconds: float
) -> Contributions:
    """The contributions of windows on the time of their song.

    Args:
        windows: start and length in seconds, and the explanation.
        seconds: length of the song.
    """
    first = windows[0][2].contributions
    cell = max(CELL_SECONDS, float(np.diff(first.seconds).max()), seconds / MOST_CELLS)
    edges = np.linspace(0, seconds, max(1, round(seconds / cell)) + 1)
    values, over_seconds, covered = [], [], []
    for start, length, why in windows:
        found = why.contributions
        parts = np.vstack([found.values, found.over_seconds])
        repeats = range(max(1, int(np.ceil((start + length) / seconds))))
        moved = [rebin(parts, found.seconds + start, edges + n * seconds) for n in repeats]
        values.append(np.sum(moved, axis=0)[:-1])
        over_seconds.append(np.sum(moved, axis=0)[-1])
        inside = rebin(np.ones(1), np.array([start, min(start + length, seconds)]), edges)
        covered.append((inside > 0).astype(float))
    return Contributions(
        hz=first.hz,
        seconds=edges,
        values=mean_of(values, covered),
        over_hz=np.mean([why.contributions.over_hz for _, _, why in windows], axis=0),
        over_seconds=mean_of(over_seconds, covered),
    )


def strongest_spans(found: SongExplanation) -> dict[str, list[Span]]:
    """What speaks most for the mood, then what speaks most against it, on both axes."""
    parts = found.contributions
    return {
        "seconds": strongest(parts.over_seconds, parts.seconds, width=STRONGEST_SECONDS),
        "hz": strongest(parts.over_hz, parts.hz),
    }


def to_json(found: SongExplanation, *, file: str, model: dict[str, str]) -> str:
    """An explanation as JSON.

    `format` 1; `file`; `model`, what is known of it; `mood`, the one explained; `answer` and
    `probabilities`, what is said of the song, calibrated; `method`; `unit` of all values below:
    changes of the mood's log-odds, ln(p / (1 - p)), positive where the sound speaks for it.
    `contributions`: `hz` and `seconds`, edges of the cells; `values[band][column]`; `over_hz`;
    `over_seconds`. `strongest`: spans of `seconds` and of `hz` that speak most for the mood and
    against it (`start`, `stop`, `value`). `windows`: for each `start_seconds`, `length_seconds`,
    `logit`, `baseline_logit` (silence), `sum` of its contributions and, for gradients, `error` (of
    the sum, as a share of the change of the logit), `num_steps`, `is_complete` (error below 1 %).
    `nearest`: songs the model learned from (`name`, `artist`, `mood`, `distance` in standard
    deviations a dimension); `unfamiliarity`, above 1 if the song is far from all of them, or null.
    """
    spans, parts = strongest_spans(found), asdict(found.contributions)
    said: dict[str, Any] = {
        "format": FORMAT,
        "file": file,
        "model": model,
        "mood": found.mood,
        "answer": found.answer,
        "probabilities": dict(zip(found.moods, found.probabilities, strict=True)),
        "seconds": found.seconds,
        "method": found.windows[0][2].method,
        "unit": "change of ln(p / (1 - p))",
        "strongest": {axis: [asdict(span) for span in list_] for axis, list_ in spans.items()},
        "nearest": [asdict(song) for song in found.nearest],
        "unfamiliarity": None if math.isnan(found.unfamiliarity) else found.unfamiliarity,
        "windows": [_window(*window) for window in found.windows],
        "contributions": {name: _rounded(values) for name, values in parts.items()},
    }  # fmt: skip
    return json.dumps(said, ensure_ascii=False, allow_nan=False) + "\n"


def _window(start: float, length: float, why: WindowExplanation) -> dict[str, Any]:
    said = {
        "start_seconds": start,
        "length_seconds": length,
        "logit": why.logit,
        "baseline_logit": why.baseline_logit,
        "sum": float(why.contributions.values.sum()),
    }
    if why.error is not None:
        said |= {"error": why.error, "num_steps": why.num_steps, "is_complete": why.is_complete}
    return said


def _rounded(values: np.ndarray) -> list:
    return np.array([float(f"{value:.5g}") for value in values.flat]).reshape(values.shape).tolist()
