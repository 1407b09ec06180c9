"""Planted leaks are found and said to cross the parts that they cross."""

import numpy as np
import pytest

from melodai.evaluation.audit import audit_songs, find_crossings, groups_of
from melodai.evaluation.spelling import find_spellings

RATE = 22050


def make_song(seed, seconds=15):
    """Bursts of tones at random times and pitches."""
    random = np.random.default_rng(seed)
    time = np.arange(seconds * RATE) / RATE
    song = 0.01 * random.normal(size=len(time))
    for start in np.sort(random.uniform(0, seconds - 1, size=50)):
        since = time[int(start * RATE) :] - start
        song[int(start * RATE) :] += np.exp(-6 * since) * np.sin(
            2 * np.pi * random.uniform(220, 3000) * since
        )
    return (3000 * song).astype(np.int16)


@pytest.fixture(scope="module")
def audit():
    songs = {f"song {seed}": make_song(seed) for seed in range(6)}
    songs["again"] = songs["song 1"][RATE:] // 2
    songs["once more"] = songs["song 1"][: -2 * RATE]
    artists = dict.fromkeys(songs) | {"song 2": "The Beatles", "song 3": "Beatles", "song 4": "Bob"}
    parts = dict.fromkeys(songs, "fold 0") | {"again": "fold 1", "song 3": "fold 2"}
    waveforms = list(songs.values())
    return audit_songs("made up", artists, parts, lambda index: waveforms[index], RATE)


def test_copies_are_found_and_nothing_else(audit):
    found = {frozenset((pair.one, pair.other)) for pair in audit.duplicates}
    copies = ("song 1", "again", "once more")
    assert found == {frozenset((one, other)) for one in copies for other in copies if one != other}
    assert audit.closest < 0.5 and audit.num_tracks == 8


def test_what_crosses_a_boundary_is_told_with_its_parts(audit):
    recording, artist = audit.crossings
    assert recording.names == ("again", "once more", "song 1")
    assert recording.parts == ("fold 0", "fold 1")
    assert artist.names == ("song 2", "song 3") and artist.parts == ("fold 0", "fold 2")
    assert str(artist) == "artist 'Beatles' in fold 0, fold 2: song 2, song 3"


def test_nothing_crosses_if_the_parts_keep_copies_and_artists_together(audit):
    parts = dict.fromkeys(("again", "once more", "song 1", "song 4"), "train")
    artists = dict.fromkeys(parts, "Bob")
    assert find_crossings(audit.duplicates, audit.spellings, artists, parts) == ()


def test_one_artist_in_two_parts_crosses_whatever_the_case():
    artists = {"a": "Ann", "b": "ANN ", "c": "Various Artists", "d": "various artists", "e": None}
    parts = {"a": "train", "b": "test", "c": "train", "d": "test", "e": "test"}
    crossings = find_crossings((), find_spellings(["Ann", "ANN "]), artists, parts)
    assert [crossing.names for crossing in crossings] == [("a", "b")]


def test_groups_are_joined_through_others():
    assert groups_of([("a", "b"), ("c", "d"), ("d", "b"), ("x", "y")]) == [
        ("a", "b", "c", "d"),
        ("x", "y"),
    ]
