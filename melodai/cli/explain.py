"""`melodai-explain`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melodai.labels import AUTO

if TYPE_CHECKING:
    from melodai.explain.contributions import Span
    from melodai.explain.song import SongExplanation

EPILOG = """\
[bold]Examples[/bold]

melodai-explain song.mp3

melodai-explain song.mp3 --model runs/mine --mood peaceful --out why

melodai-explain song.mp3 --method occlusion"""


def explain(
    file: Path = typer.Argument(..., help="A song."),
    model: Path | None = typer.Option(
        None, help="A run folder or an exported model.  [default: the one that comes with melodai]"
    ),
    moods: str = typer.Option(
        AUTO, metavar="[three|quadrants]", help="Of the models that come with melodai."
    ),
    out: Path = typer.Option(Path("."), metavar="FOLDER", help="Where picture and JSON go."),
    mood: str | None = typer.Option(None, help="The mood to explain.  \\[default: the answer]"),
    method: str = typer.Option(
        "auto",
        metavar="[auto|gradients|occlusion]",
        help="Gradients add up to the answer; occlusion takes parts of the sound away, and works "
        "for every model.",
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
) -> None:
    """Show which seconds and frequencies of a song carry the answer, and which songs are near."""
    from melodai.cli.progress import counting
    from melodai.environment import find_device
    from melodai.explain.picture import song_figure
    from melodai.explain.song import explain_song, to_json
    from melodai.files import replace_file, replace_text
    from melodai.legible import legible
    from melodai.predict.decoding import read_song
    from melodai.zero_shot import open_model

    bundle = open_model(model, moods)
    rate = bundle.model.sample_rate
    waveform, _ = read_song(file, rate)
    with counting("explaining") as on_progress:
        found = explain_song(
            bundle, waveform, mood=mood, method=method, device=find_device(device),
            on_progress=on_progress,
        )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    name = f"{file.stem}-{found.mood}"
    picture, record = out / f"{name}.png", out / f"{name}.json"
    figure = song_figure(found, waveform, rate, file.name)
    replace_file(picture, lambda target: legible(figure).savefig(target, format="png"))
    replace_text(record, to_json(found, file=str(file), model=bundle.about))
    _print(found)
    typer.echo(f"Written:  {picture}\nWritten:  {record}")


def _print(found: "SongExplanation") -> None:
    from melodai.cli.console import readable
    from melodai.explain.song import strongest_spans

    shares = ", ".join(
        f"{mood} {share:.2f}" for mood, share in zip(found.moods, found.probabilities, strict=True)
    )
    typer.echo(f"{found.answer}: {shares}")
    spans = strongest_spans(found)
    for side, sign in (("for", 1), ("against", -1)):
        times = _listed([s for s in spans["seconds"] if s.value * sign > 0], _clock)
        bands = _listed([s for s in spans["hz"] if s.value * sign > 0], lambda hz: f"{hz:.0f}")
        if times or bands:
            typer.echo(f"Most {side} {found.mood}: {times or '-'}; {bands or '-'} Hz")
    for start, _, why in found.windows:
        if why.error is not None and not why.is_complete:
            typer.echo(
                f"The window from {_clock(start)} on is off by {why.error:.1%}: its parts do not "
                f"quite add up to the answer ({why.num_steps} steps)"
            )
    for song in found.nearest:
        artist = f" by {song.artist}" if song.artist else ""
        name = readable(f"{song.name}{artist} ({song.mood})")
        typer.echo(f"Near:     {name}, distance {song.distance:.2f}")
    if found.unfamiliarity > 1:
        typer.echo("It is far from every song the model learned from: the answer means little.")


def _listed(spans: list["Span"], show) -> str:
    return ", ".join(f"{show(span.start)}–{show(span.stop)}" for span in spans)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


explain.epilog = EPILOG  # type: ignore[attr-defined]
