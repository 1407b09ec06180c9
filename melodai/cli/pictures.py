"""What the study's scripts about pictures do."""

from pathlib import Path

import typer

from melodai.cli.study import MOODS
from melodai.config import DataConfig, FrontEndConfig
from melodai.pictures import IMAGE_SIZE, NUM_COPIES, NUM_SEGMENTS

CACHE = typer.Option(None, help="Folder of the decoded songs.  [default: the user's cache folder]")


def generate_segments(
    data: Path = typer.Argument(..., help="Anything that melodai-train --data takes."),
    out: Path = typer.Argument(..., help="Folder of the pictures, one folder a mood in it."),
    segments: int = typer.Option(NUM_SEGMENTS, min=1, help="Segments of each song, evenly spaced."),
    segment_seconds: float = typer.Option(
        DataConfig.segment_seconds, min=3, help="Length of a segment in seconds."
    ),
    copies: int = typer.Option(NUM_COPIES, min=0, help="Augmented copies of each segment."),
    size: int = typer.Option(IMAGE_SIZE, min=32, max=2048, help="Height and width in pixels."),
    seed: int = typer.Option(0, min=0, help="Seed of the augmentation."),
    moods: str = MOODS,
    cache_dir: Path | None = CACHE,
) -> None:
    """Draw segments of songs, and augmented copies of them, as spectrogram pictures per mood."""
    from melodai.cli.console import readable
    from melodai.cli.progress import counting
    from melodai.pictures.generate import generate_pictures
    from melodai.presets import preset

    config = DataConfig(
        data=data, moods=moods, segment_seconds=segment_seconds, cache_dir=cache_dir
    )
    with counting("drawing songs") as on_progress:
        done = generate_pictures(
            config, out, augment=preset("study").augment, num_segments=segments,
            num_copies=copies, image_size=size, seed=seed, on_progress=on_progress,
        )  # fmt: skip
    for warning in done.warnings:
        typer.echo(f"warning: {readable(warning)}", err=True)
    typer.echo(f"{len(done.pictures)} pictures of {done.num_songs} songs: {out}")
    if done.failures:
        raise typer.Exit(1)


def resize_folder(
    source: Path = typer.Argument(..., metavar="IN", help="Folder of pictures (png, jpg)."),
    out: Path = typer.Argument(..., help="Folder of the small pictures."),
    size: int = typer.Option(
        FrontEndConfig.image_size, min=16, max=2048, help="Height and width in pixels."
    ),
) -> None:
    """Resize all pictures below a folder, folders and names as they were."""
    from melodai.cli.console import readable
    from melodai.cli.progress import counting
    from melodai.pictures.resize import resize_pictures

    with counting("resizing") as on_progress:
        done = resize_pictures(source, out, size=size, on_progress=on_progress)
    typer.echo(f"{done.num_pictures} pictures of {size} x {size}: {out}")
    if done.failures:
        typer.echo(f"{len(done.failures)} cannot be read:", err=True)
        for failure in done.failures:
            typer.echo(f"  {readable(failure.path)}: {failure.reason}", err=True)
        raise typer.Exit(1)
