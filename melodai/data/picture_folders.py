"""A folder of spectrogram pictures per mood: `pictures/<mood>/*.png`, as the study had it."""

import csv
from dataclasses import replace
from pathlib import Path

from melodai.data.artists import STAND_IN
from melodai.data.folders import read_folders
from melodai.data.picture_files import PictureAbout, about_picture, is_picture_name
from melodai.data.tracks import Library, Track, is_audio_name
from melodai.errors import DataError

MANIFEST = "manifest.csv"


def holds_pictures(root: Path) -> bool:
    """Whether there are pictures in a folder and no songs (with which they are covers)."""
    has_pictures = False
    for path in root.rglob("*"):
        if is_audio_name(path):
            return False
        has_pictures = has_pictures or is_picture_name(path)
    return has_pictures


def read_pictures(root: Path) -> Library:
    """Reads the pictures below each folder; its name is their mood.

    Whose song a picture shows stands in `manifest.csv`, in the picture's text, or in its name.
    Pictures of a song whose artist is unknown have the song in the artist's place, so that they
    stay on one side of a split, and intervals are those of songs.

    Raises:
        DataError: there are no pictures, or the manifest is damaged.
    """
    library = read_folders(root, is_wanted=is_picture_name, kind="picture", beside=MANIFEST)
    known = _read_manifest(root / MANIFEST)
    about = [known.get(track.name) or about_picture(track.path, track.mood)
             for track in library.tracks]  # fmt: skip
    warnings = list(library.warnings)
    num_songs = len({one.song for one in about})
    unknown = {one.song for one in about if one.artist is None}
    if unknown:
        warnings.append(
            f"the artist of {len(unknown)} of the {num_songs} songs in the pictures is unknown: "
            "all pictures of a song stay on one side of the split, but songs of one artist may "
            "stand on both, and scores may be too good"
        )
    if num_songs == len(library.tracks) > 1 and len(unknown) == num_songs:
        warnings.append(
            "every picture counts as a song of its own, by its name; pieces and copies of one song "
            "must be called <song>_seg1, <song>_seg1_aug2, or be listed in manifest.csv"
        )
    return replace(
        library,
        tracks=tuple(map(_with_song, library.tracks, about)),
        warnings=tuple(warnings),
        holds_pictures=True,
    )


def _with_song(track: Track, about: PictureAbout) -> Track:
    return replace(track, artist=about.artist or stand_in(about.song), title=about.song)


def stand_in(song: str) -> str:
    """What stands in the artist's place where nobody is known."""
    return STAND_IN + song


def _read_manifest(path: Path) -> dict[str, PictureAbout]:
    """Song and artist of each picture, by its name below the root."""
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return {
                row["picture"]: PictureAbout(row["song"], row.get("artist") or None)
                for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read ({error!r}); it needs the columns picture and song"
        ) from error
