"""The picture of an explanation: what speaks for a mood and against it, over time and frequency."""

import textwrap

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from melodai.explain.contributions import Contributions
from melodai.explain.song import SongExplanation
from melodai.transforms.filter_bank import hz_to_mel
from melodai.transforms.mel import LogMel

# Vermilion and blue of Okabe and Ito: told apart with any colour vision. Where there is nothing to
# say the grey spectrogram shows through.
FOR, AGAINST, GREY = "#D55E00", "#0072B2", "#555555"
COLOURS = LinearSegmentedColormap.from_list("against-for", [AGAINST, "#f2f2f2", FOR])
LABELLED_HZ = (100, 300, 600, 1000, 2000, 4000, 8000, 16000)
SECONDS_AT_ONCE, MOST_COLUMNS = 60.0, 1200
# The loudest is a light grey, not white: colours are to be seen on it.
RANGE_DB, BRIGHTER_DB = 60.0, 25.0
SHOWN_SHARE = 0.995
NAMES = {"gradients": "integrated gradients", "occlusion": "occlusion"}


def song_figure(
    found: SongExplanation, waveform: np.ndarray, sample_rate: int, name: str
) -> Figure:
    """The picture of a song.

    Args:
        waveform: int16 `(time,)`, the song.
        name: of the song, for the title.
    """
    said = ", ".join(
        f"{mood} {share:.0%}" for mood, share in zip(found.moods, found.probabilities, strict=True)
    )
    far = "; it is far from every song the model learned from" if found.unfamiliarity > 1 else ""
    near = " · ".join(_short(song.name, song.artist, song.mood) for song in found.nearest)
    return contributions_figure(
        found.contributions, waveform, sample_rate,
        title=f"{name}: {found.answer}, {found.probability(found.answer):.0%}",
        subtitle=f"the answer: {said}{far}",
        mood=found.mood, method=found.windows[0][2].method,
        note=near and f"nearest songs among those it learned from: {near}",
    )  # fmt: skip


def contributions_figure(
    parts: Contributions,
    waveform: np.ndarray,
    sample_rate: int,
    *,
    title: str,
    subtitle: str,
    mood: str,
    method: str,
    note: str = "",
) -> Figure:
    """Contributions over a spectrogram, with their sums over time and over frequency.

    Args:
        waveform: int16 `(time,)`, what `parts` is about.
        subtitle, note: lines above and below.
    """
    figure = Figure(figsize=(11, 7), dpi=120, layout="constrained")
    figure.suptitle(f"{title}\n", fontsize=14, fontweight="bold")
    figure.text(0.5, 0.945, subtitle, ha="center", va="top", fontsize=10, color=GREY)
    if note:
        figure.supxlabel(textwrap.fill(note, 140), fontsize=9, color=GREY)
    axes = figure.subplots(
        2, 2, sharex="col", sharey="row",
        gridspec_kw={"width_ratios": (4, 1), "height_ratios": (3, 1)},
    )  # fmt: skip
    (main, over_hz), (over_seconds, corner) = axes
    main.set_title(f"orange speaks for {mood}, blue against it; grey is the sound", fontsize=10)
    _spectrogram(main, waveform, sample_rate, float(parts.hz[-1]))
    overlay = _overlay(main, parts)
    main.set_ylabel("frequency [Hz]")
    mel = [(hz, float(hz_to_mel(hz))) for hz in LABELLED_HZ if hz <= parts.hz[-1]]
    main.set_yticks([at for _, at in mel], [f"{hz:,}" for hz, _ in mel])
    main.set_ylim(*hz_to_mel(parts.hz[[0, -1]]))
    over_hz.set_title("each frequency, at all times", fontsize=10)
    _bars(over_hz, hz_to_mel(parts.hz), parts.over_hz, "horizontal")
    over_hz.tick_params(labelbottom=True)
    over_hz.set_xlabel("change of log-odds")
    over_seconds.set_title("each moment, all frequencies", fontsize=10)
    _bars(over_seconds, parts.seconds, parts.over_seconds, "vertical")
    over_seconds.set(ylabel="log-odds", xlabel="time [min:s]", xlim=parts.seconds[[0, -1]])
    over_seconds.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 1.5, 2, 3, 6, 10], integer=True))
    over_seconds.xaxis.set_major_formatter(FuncFormatter(_clock))
    corner.set_axis_off()
    bar = figure.colorbar(
        overlay, cax=corner.inset_axes((0, 0.75, 1, 0.15)), orientation="horizontal"
    )
    bar.set_ticks([overlay.norm.vmin, 0, overlay.norm.vmax], labels=["against", "0", "for"])
    legend = f"{NAMES[method]}\n0.7 doubles the odds of {mood}"
    corner.text(0.5, 0.4, legend, ha="center", va="top", fontsize=9, transform=corner.transAxes)
    return figure


def _spectrogram(axes: Axes, waveform: np.ndarray, sample_rate: int, highest_hz: float) -> None:
    decibels = _decibels(waveform, sample_rate, highest_hz)
    top = decibels.max()
    extent = (0, len(waveform) / sample_rate, 0, float(hz_to_mel(highest_hz)))
    axes.imshow(
        decibels, origin="lower", aspect="auto", extent=extent, cmap="gray",
        vmin=top - RANGE_DB, vmax=top + BRIGHTER_DB, interpolation="nearest",
    )  # fmt: skip


def _decibels(waveform: np.ndarray, sample_rate: int, highest_hz: float) -> np.ndarray:
    """Mean level, `(mel, column)`, a minute at a time: memory does not grow with the song."""
    log_mel = LogMel(sample_rate=sample_rate, f_max=min(highest_hz, sample_rate / 2))
    step = max(1, len(waveform) // log_mel.hop_length // MOST_COLUMNS)  # frames a column
    size = max(step, int(SECONDS_AT_ONCE * sample_rate / log_mel.hop_length) // step * step)
    parts = []
    for start in range(0, max(1, len(waveform) // log_mel.hop_length), size):
        first = start * log_mel.hop_length
        piece = torch.from_numpy(waveform[first : first + size * log_mel.hop_length])
        found = log_mel.decibels(piece[None].float() / 32768)[0].numpy()[:, :size]
        parts.append(np.add.reduceat(found, np.arange(0, found.shape[1], step), axis=1) / step)
    return np.concatenate(parts, axis=1)


def _overlay(axes: Axes, parts: Contributions):
    most = max(float(np.quantile(np.abs(parts.values), SHOWN_SHARE)), 1e-9)
    strength = np.clip(np.abs(parts.values) / most, 0, 1)
    return axes.pcolormesh(
        parts.seconds, hz_to_mel(parts.hz), parts.values, cmap=COLOURS, vmin=-most, vmax=most,
        alpha=0.9 * strength**0.7, rasterized=True, linewidth=0,
    )  # fmt: skip


def _bars(axes: Axes, edges: np.ndarray, values: np.ndarray, direction: str) -> None:
    colours = np.where(values >= 0, FOR, AGAINST)
    if direction == "vertical":
        axes.bar(edges[:-1], values, np.diff(edges), align="edge", color=colours)
        axes.axhline(0, color="black", linewidth=0.8)
    else:
        axes.barh(edges[:-1], values, np.diff(edges), align="edge", color=colours)
        axes.axvline(0, color="black", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _clock(seconds: float, _position: int) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _short(name: str, artist: str, mood: str) -> str:
    return f"{name}{f' by {artist}' if artist else ''} ({mood})"
