"""The section that explains answers for chosen songs, by the runs whose weights are at hand."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melodai.bundle import load_bundle
from melodai.checkpoint import BEST
from melodai.errors import DataError
from melodai.evaluation.predictions import Predictions
from melodai.explain.picture import song_figure
from melodai.explain.song import explain_song
from melodai.legible import legible
from melodai.predict.decoding import read_song

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OnProgress = Callable[[int, int], None]


def explained_songs(
    run: Path, predictions: Predictions, songs: Sequence[str], on_progress: OnProgress
) -> dict[str, str]:
    """A picture (PNG in base64) for each song, by what it shows.

    Args:
        run: its folder, which holds the weights.
        songs: names as in the predictions, or the last part of a name.

    Raises:
        DataError: there are no weights, no such song was predicted, or its file is not there.
        AudioError: the file cannot be listened to.
    """
    if not (run / BEST).is_file():
        raise DataError(f"{run} holds no {BEST}, so its answers cannot be explained")
    places = [_place(predictions, song) for song in songs]
    bundle = load_bundle(run)
    pictures = {}
    for place in places:
        path, name = Path(str(predictions.paths[place])), str(predictions.names[place])
        waveform, _ = read_song(path, bundle.model.sample_rate)
        found = explain_song(bundle, waveform, on_progress=on_progress)
        label = predictions.moods[predictions.labels[place]]
        figure = song_figure(found, waveform, bundle.model.sample_rate, f"{name} ({label})")
        pictures[f"what carries the answer for {name}"] = png(figure)
    return pictures


def _place(predictions: Predictions, song: str) -> int:
    """Position of the song of that name.

    Raises:
        DataError: there is none, there are several, or its file is not there.
    """
    names = predictions.names.tolist()
    found = [i for i, name in enumerate(names) if name == song or name.endswith(f"/{song}")]
    if len(found) != 1:
        raise DataError(
            f"{len(found)} of the predicted songs are named {song!r}; one is {names[0]!r}, say"
        )
    if not Path(str(predictions.paths[found[0]])).is_file():
        raise DataError(f"the file of {song} is not where it was: {predictions.paths[found[0]]}")
    return found[0]


def png(figure: "Figure") -> str:
    """A figure of matplotlib as PNG, in base64."""
    buffer = io.BytesIO()
    legible(figure).savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
