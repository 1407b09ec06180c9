"""Pictures put together to the songs they show, which are what is counted."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from melodai.data.picture_folders import stand_in
from melodai.data.tracks import Track


def by_song(pictures: Sequence[Track]) -> tuple[list[Track], np.ndarray]:
    """The songs in the pictures, and which one each picture shows, `(picture,)`.

    A song has the path of its first picture; its artist is None where it is unknown.
    """
    songs: dict[tuple[str, str | None], Track] = {}
    for picture in pictures:
        song = picture.title or picture.name
        artist = None if picture.artist == stand_in(song) else picture.artist
        songs.setdefault((picture.mood, song), replace(picture, name=song, artist=artist))
    order = {key: index for index, key in enumerate(songs)}
    shown = [order[picture.mood, picture.title or picture.name] for picture in pictures]
    return list(songs.values()), np.array(shown, np.int64)
