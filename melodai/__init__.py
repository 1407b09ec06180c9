"""melodai tells the mood of music from its sound alone.

import melodai

result = melodai.train(data="my-music", arch="residual")   # a run folder, curves, best.pt
model = result.load()                                      # (batch, time) -> (batch, mood)
mood = melodai.load(result.run).predict("song.mp3").mood   # an answer for a song
other = melodai.build_model("advanced", classes=("happy", "sad"))
"""

from typing import TYPE_CHECKING, Any

from melodai.lazy import public_names

if TYPE_CHECKING:
    from melodai.training.run import TrainingResult

__version__ = "0.1.0"
__getattr__, __all__ = public_names(
    __name__,
    {
        "melodai.estimator": ["MoodClassifier"],
        "melodai.models.registry": ["build_model", "register_model"],
        "melodai.predict.predictor": ["load"],
    },
)
__all__ += ["resume", "train"]


def train(*, preset: str | None = None, **options: Any) -> "TrainingResult":
    """Trains a model; the same as `melodai-train`, with the options' names as keywords.

    Args:
        preset: settings to start from; without `data`, those of the demo.
        options: any setting of `melodai.config`, say `data`, `arch`, `epochs`, `out`.

    Raises:
        MelodaiError: settings, data or files that cannot be used, named with the remedy.
    """
    from pathlib import Path

    from melodai import presets
    from melodai.evaluation.leaks import leak_warnings
    from melodai.training.run import train as start

    for name in ("out", "cache_dir"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    name = preset or ("default" if options.get("data") else "demo")
    base = presets.preset(name, options.get("arch", presets.AUTO), options.get("init"))
    config = base.with_options(**options)
    return start(config, None, leak_warnings)


def resume(run: str, **options: Any) -> "TrainingResult":
    """Goes on with an interrupted run, exactly; the same as `melodai-train --resume RUN`."""
    from pathlib import Path

    from melodai.training.run import resume as go_on

    if options.get("cache_dir") is not None:
        options["cache_dir"] = Path(options["cache_dir"])
    return go_on(Path(run), **options)
