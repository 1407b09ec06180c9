"""Why a model answers as it does for one window."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from melodai.errors import SettingError
from melodai.explain.contributions import Contributions, log_odds
from melodai.explain.gradients import MOST_STEPS, TOLERANCE, integrated_gradients
from melodai.explain.occlusion import occlude_features, occlude_waveform, waveform_axes
from melodai.models import MoodModel

METHODS = ("auto", "gradients", "occlusion")
# Parts that are taken away one after the other. Of a waveform fewer: each goes through the whole
# front end.
FEATURE_BANDS, FEATURE_COLUMNS = 14, 15
WAVEFORM_BANDS, WAVEFORM_COLUMNS = 8, 10
# Cells of features that are added up, for people to read, in each direction.
GRADIENT_ROWS = 8
BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class WindowExplanation:
    """Why.

    Attributes:
        method: "gradients" or "occlusion".
        logit: log-odds of the mood, `contributions.log_odds`.
        baseline_logit: that of silence.
        contributions: their times count from the start of the window.
        error: how far the sum of the contributions is from `logit - baseline_logit`, as a share of
            it; None for occlusion, whose values need not add up.
        num_steps: points on the path of the gradients; None for occlusion.
    """

    method: str
    logit: float
    baseline_logit: float
    contributions: Contributions
    error: float | None = None
    num_steps: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the contributions add up to the change of the logit, to 1 %."""
        return self.error is not None and self.error < TOLERANCE


def explain_window(
    model: MoodModel,
    waveform: Tensor,
    mood: int,
    *,
    temperature: float = 1.0,
    method: str = "auto",
    most_steps: int = MOST_STEPS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> WindowExplanation:
    """Explains the log-odds of a mood.

    Gradients need a front end with `axes` (`transforms.axes`); without it parts of the waveform are
    taken away, which works for every model. What is taken away is replaced by what the front end
    makes of silence.

    Args:
        model: in evaluation mode.
        waveform: `(1, time)` float32, on the model's device.
        mood: index of the class.
        temperature: of one window's probabilities.
        method: "auto" is gradients where they can be had.

    Raises:
        SettingError: gradients were asked for and cannot be had.
    """
    has_axes = hasattr(model.frontend, "axes")
    if method not in METHODS:
        raise SettingError(f"--method is {method!r}; choose one of {', '.join(METHODS)}")
    if method == "gradients" and not has_axes:
        raise SettingError(
            "this model's front end does not say where its features lie in time and frequency; "
            "use --method occlusion"
        )
    if not has_axes:
        return _without_parts_of_waveform(model, waveform, mood, temperature, on_progress)

    def logit(features: Tensor) -> Tensor:
        return log_odds(model.encoder(features), mood, temperature)

    with torch.no_grad():
        features = model.frontend(waveform)
        baseline = model.frontend(torch.zeros_like(waveform))
        ends = logit(torch.cat([features, baseline])).tolist()
    axes = model.frontend.axes(waveform.shape[1])
    if method == "occlusion":
        bands = _edges(len(axes.hz) - 1, FEATURE_BANDS)
        columns = _edges(len(axes.seconds) - 1, FEATURE_COLUMNS)
        lost = occlude_features(
            logit, features, baseline, bands, columns,
            batch_size=BATCH_SIZE, on_progress=on_progress,
        )  # fmt: skip
        found = Contributions(hz=axes.hz[bands], seconds=axes.seconds[columns], **lost._asdict())
        return WindowExplanation(
            method="occlusion", logit=ends[0], baseline_logit=ends[1], contributions=found
        )
    made = integrated_gradients(
        logit, features, baseline, most_steps=most_steps, on_progress=on_progress
    )
    bands = _edges(len(axes.hz) - 1, max(1, (len(axes.hz) - 1) // GRADIENT_ROWS))
    values = np.add.reduceat(made.values.numpy(), bands[:-1], axis=0)
    found = Contributions(
        hz=axes.hz[bands], seconds=axes.seconds, values=values,
        over_hz=values.sum(1), over_seconds=values.sum(0),
    )  # fmt: skip
    return WindowExplanation(
        method="gradients", logit=ends[0], baseline_logit=ends[1], contributions=found,
        error=made.error, num_steps=made.num_steps,
    )  # fmt: skip


def _without_parts_of_waveform(
    model: MoodModel, waveform: Tensor, mood: int, temperature: float, on_progress
) -> WindowExplanation:
    def logit(waveform: Tensor) -> Tensor:
        return log_odds(model(waveform), mood, temperature)

    axes = waveform_axes(
        waveform.shape[1], model.sample_rate,
        num_bands=WAVEFORM_BANDS, num_columns=WAVEFORM_COLUMNS,
    )  # fmt: skip
    lost = occlude_waveform(
        logit, waveform, model.sample_rate, axes, batch_size=1, on_progress=on_progress
    )
    with torch.inference_mode():
        ends = [logit(x).item() for x in (waveform, torch.zeros_like(waveform))]
    return WindowExplanation(
        method="occlusion", logit=ends[0], baseline_logit=ends[1],
        contributions=Contributions(hz=axes.hz, seconds=axes.seconds, **lost._asdict()),
    )  # fmt: skip


def _edges(size: int, count: int) -> np.ndarray:
    """Edges of `count` parts of about the same size."""
    return np.linspace(0, size, min(size, count) + 1).round().astype(int)
