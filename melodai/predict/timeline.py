"""The moods of one song over time: a JSON file and a picture, one row a window."""

import hashlib
import json
import math
import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator, PercentFormatter

from melodai.errors import MelodaiError
from melodai.files import replace_file, replace_text
from melodai.legible import legible
from melodai.palette import GREY, PALE, colour_of, hatch_of
from melodai.predict.results import UNSURE, SongMood

_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000)
_MOST_TICKS = 13
MOST_NAME_BYTES = 180
MOST_EDGES = 250  # more windows than that are drawn without lines between them
_TITLE_COLUMNS = 80


def write_timeline(song: SongMood, folder: Path) -> tuple[Path, Path]:
    """Writes `<name>.timeline.json` and `<name>.timeline.png`.

    The JSON says what is known of the song, and of each window `start_seconds`, `end_seconds`,
    `mood` (the likeliest) and `p_<mood>`. Of two songs of one name in different folders, the second
    has a digest of its folder in the name; a song that is written again replaces its own files.

    Raises:
        MelodaiError: the folder cannot be written to.
    """
    table = _claimed(song.file.absolute(), folder)
    picture = table.with_suffix(".png")
    replace_text(table, json.dumps(timeline_of(song), indent=1) + "\n")
    figure = timeline_figure(song)
    replace_file(picture, lambda file: legible(figure).savefig(file, format="png"))
    return table, picture


def timeline_of(song: SongMood) -> dict[str, Any]:
    """The song and its windows as JSON has them."""
    names = [f"p_{mood}" for mood in song.moods]
    rows = [
        {
            "start_seconds": round(window.start_seconds, 3),
            "end_seconds": round(window.end_seconds, 3),
            "mood": song.moods[int(np.argmax(window.probabilities))],
            **dict(zip(names, (round(p, 6) for p in window.probabilities), strict=True)),
        }
        for window in song.windows
    ]
    return {
        "file": str(song.file.absolute()),
        "artist": song.artist,
        "title": song.title,
        "seconds": round(song.seconds, 3),
        "silences": [[round(start, 3), round(end, 3)] for start, end in song.hearing.silences],
        "remarks": song.hearing.words,
        "mood": song.mood,
        "confidence": round(song.confidence, 6),
        **dict(zip(names, (round(p, 6) for p in song.probabilities), strict=True)),
        "unfamiliarity": None if math.isnan(song.unfamiliarity) else round(song.unfamiliarity, 4),
        "windows": rows,
    }


def timeline_figure(song: SongMood) -> Figure:
    """Shares of the moods as stacked areas, the likeliest mood as a band below them.

    Where windows overlap, the borders are half-way between their middles. Silences, which are not
    listened to, are left white.
    """
    edges, shares = _steps(song)
    title = textwrap.fill(f"{_drawable(song.file.name)}", _TITLE_COLUMNS, max_lines=2)
    num_lines = title.count("\n") + 1
    height = 4.4 + 0.25 * num_lines
    figure = Figure(figsize=(11, height), dpi=120, layout="constrained")
    figure.suptitle(title + "\n", fontsize=13, fontweight="bold", parse_math=False)
    figure.text(
        0.5, 1 - (0.14 + 0.22 * num_lines) / height, _answer(song), ha="center", va="top",
        fontsize=10, color=GREY,
    )  # fmt: skip
    areas, band = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (5, 1)})
    width = 0.6 if len(shares) <= MOST_EDGES else 0.0
    top = np.zeros(len(shares))
    for index in range(len(song.moods)):
        values = top + shares[:, index]
        areas.fill_between(
            edges, np.append(top, top[-1]), np.append(values, values[-1]), step="post",
            edgecolor="white", linewidth=width, **_look(index),
        )  # fmt: skip
        top = values
    areas.set_ylim(0, 1)
    areas.set_ylabel("share of each mood")
    areas.yaxis.set_major_formatter(PercentFormatter(1))
    said = list(zip(song.moods, song.probabilities, strict=True))
    patches = [
        Patch(edgecolor="white", label=f"{mood}  {probability:.0%}", **_look(index))
        for index, (mood, probability) in enumerate(said)
    ]
    areas.legend(
        handles=patches[::-1],  # from top to bottom as the areas lie
        loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, handleheight=1.6,
        handlelength=2.4, labelspacing=0.8, title="in the whole song", alignment="left",
    )  # fmt: skip
    _draw_band(band, edges, shares, song.moods, width)
    band.set_xlim(edges[0], edges[-1])
    _set_clock(band, edges[-1])
    for axes in (areas, band):
        for start, end in song.hearing.silences:
            axes.axvspan(start, end, color="white", zorder=2)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_band(
    axes: Axes, edges: np.ndarray, shares: np.ndarray, moods: tuple[str, ...], width: float
) -> None:
    """A bar for each stretch of one likeliest mood, with its name where there is room."""
    likeliest = shares.argmax(axis=1)
    starts = np.flatnonzero(np.diff(likeliest, prepend=-1))
    ends = np.append(starts[1:], len(likeliest))
    for start, end in zip(starts, ends, strict=True):
        mood, left, right = likeliest[start], edges[start], edges[end]
        axes.barh(0, right - left, 1, left=left, edgecolor="white", linewidth=width, **_look(mood))
        room = (right - left) / (edges[-1] - edges[0])
        if room > 0.012 * len(moods[mood]) + 0.01:
            axes.text(
                (left + right) / 2, 0, moods[mood], ha="center", va="center", fontsize=9,
                color="black" if _look(mood)["facecolor"] in PALE else "white",
                fontweight="bold", parse_math=False,
            )  # fmt: skip
    axes.set(ylim=(-0.5, 0.5), yticks=[], ylabel="likeliest")


def _steps(song: SongMood) -> tuple[np.ndarray, np.ndarray]:
    """Borders in seconds `(window + 1,)` and shares `(window, mood)`."""
    if not song.windows:
        return np.array([0.0, max(song.hearing.whole_seconds, 1e-3)]), np.array(
            [song.probabilities]
        )
    windows = sorted(song.windows, key=lambda window: window.start_seconds)
    middles = np.array([(w.start_seconds + w.end_seconds) / 2 for w in windows])
    borders = (middles[1:] + middles[:-1]) / 2
    last = max(windows[-1].end_seconds, windows[0].start_seconds + 1e-3)
    edges = np.concatenate([[windows[0].start_seconds], borders, [last]])
    return edges, np.array([window.probabilities for window in windows])


def _answer(song: SongMood) -> str:
    words = f"{song.mood}, {song.confidence:.0%}"
    if song.mood == UNSURE:
        likeliest = song.moods[int(np.argmax(song.probabilities))]
        words = f"unsure (likeliest: {likeliest}, {song.confidence:.0%})"
    about = f"the whole song: {words}"
    if song.hearing.words:
        about += f"; {song.hearing.words}"
    if song.is_unfamiliar:
        about += "; far from what the model learned, so this means little"
    return about


def _claimed(file: Path, folder: Path) -> Path:
    """The JSON file of a song, which no other song has."""
    digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:8]
    name = file.name
    if len(os.fsencode(name)) > MOST_NAME_BYTES:  # with the ending it would be too long
        name = os.fsencode(name)[:MOST_NAME_BYTES].decode("utf-8", "ignore") + f"~{digest}"
    plain = folder / f"{name}.timeline.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with plain.open("x", encoding="ascii") as mine:
            json.dump({"file": str(file)}, mine)
    except FileExistsError:
        if _file_of(plain) != str(file):
            return folder / f"{name}~{digest}.timeline.json"
    except OSError as error:
        raise MelodaiError(f"could not write {plain}: {error.strerror or error}") from error
    return plain


def _file_of(table: Path) -> str | None:
    """The song that a timeline is about; None if it is being written, or is something else."""
    try:
        return json.loads(table.read_bytes())["file"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _look(index: int) -> dict[str, str]:
    return {"facecolor": colour_of(index), "hatch": hatch_of(index)}


def _drawable(name: str) -> str:
    """The name with a box for each letter that the font has not."""
    letters = font_manager.get_font(font_manager.findfont("DejaVu Sans:bold")).get_charmap()
    return "".join(
        letter if letter.isprintable() and ord(letter) in letters else "\N{WHITE SQUARE}"
        for letter in name
    )


def _set_clock(axes: Axes, seconds: float) -> None:
    """Minutes and seconds below the axis, hours too where there are any."""
    has_hours = seconds >= 3600
    step = next((step for step in _TICK_SECONDS if seconds / step <= _MOST_TICKS), None)

    def clock(value: float, _position: int) -> str:
        minutes, rest = divmod(round(value), 60)
        hours, left = divmod(minutes, 60)
        return f"{hours}:{left:02}:{rest:02}" if has_hours else f"{minutes}:{rest:02}"

    axes.set_xlabel("time [h:min:s]" if has_hours else "time [min:s]")
    axes.xaxis.set_major_locator(MultipleLocator(step or _TICK_SECONDS[-1] * 2))
    axes.xaxis.set_major_formatter(FuncFormatter(clock))
