"""No song, artist or content on two sides, whatever the data; the moods' shares kept."""

import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from melodai.config import DataConfig
from melodai.data.artists import artist_key
from melodai.data.library import read_library
from melodai.data.splits import (
    PARTS,
    Split,
    check_no_leak,
    make_split,
    read_split,
    write_split,
)
from melodai.data.tracks import Track
from melodai.errors import DataError, SettingError

MOODS = ("energetic", "peaceful", "emotional")
EMOTIFY = Path(__file__).resolve().parents[2] / "shared" / "data" / "emotify"


def track(number, mood="energetic", **values):
    name = values.pop("name", f"{mood}/{number}.mp3")
    return Track(path=Path("/songs") / name, mood=mood, name=name, **values)


def random_library(seed):
    """Songs with artists in several spellings, some unknown, and some contents twice."""
    generator = random.Random(seed)
    tracks, keys = [], []
    for number in range(generator.randint(60, 150)):
        mood = generator.choices(MOODS, (5, 3, 2))[0]
        artist = f"artist {generator.randint(0, 40)}"
        spelling = generator.choice(
            [artist, artist.upper(), f"  {artist.replace(' ', '   ')} ", artist.title()]
        )
        known = generator.choice([spelling, spelling, None, "Unknown Artist"])
        tracks.append(track(number, mood, artist=known))
        keys.append(f"key{number if generator.random() > 0.1 else generator.randint(0, 20)}")
    return tracks, keys


def split_of(tracks, keys, fold=0, seed=0, **options):
    settings = dict(num_folds=5, validation_fraction=0.2)
    return make_split(tracks, keys, fold=fold, seed=seed, **{**settings, **options})


def sides(tracks, keys, split):
    """Parts in which each song, artist and content occurs (independent of the code tested)."""
    found = defaultdict(set)
    for part in PARTS:
        for index in getattr(split, part):
            artist = " ".join((tracks[index].artist or "").casefold().split())
            found["song", index].add(part)
            found["content", keys[index]].add(part)
            if artist not in ("", "unknown artist"):
                found["artist", artist].add(part)
    return found


@pytest.mark.parametrize("seed", range(25))
def test_no_song_artist_or_content_stands_on_two_sides(seed):
    tracks, keys = random_library(seed)
    tests = []
    for fold in range(5):
        split = split_of(tracks, keys, fold, seed)
        assert all(len(parts) == 1 for parts in sides(tracks, keys, split).values())
        assert sorted((*split.train, *split.validation, *split.test)) == list(range(len(tracks)))
        assert split.source == "made folds"
        tests += split.test
    # Over the folds each song is tested once.
    assert sorted(tests) == list(range(len(tracks)))


@pytest.mark.parametrize("seed", range(10))
def test_shares_of_the_moods_are_kept(seed):
    generator = random.Random(seed)
    tracks = [
        track(number, generator.choices(MOODS, (5, 3, 2))[0], artist=f"a{generator.randint(0, 60)}")
        for number in range(200)
    ]
    keys = [str(number) for number in range(200)]
    everywhere = Counter(t.mood for t in tracks)
    split = split_of(tracks, keys, seed=seed)
    rest = Counter(tracks[index].mood for index in (*split.train, *split.validation))
    for mood in MOODS:
        tested = sum(tracks[index].mood == mood for index in split.test)
        validated = sum(tracks[index].mood == mood for index in split.validation)
        assert abs(tested - everywhere[mood] / 5) <= 5
        assert abs(validated - 0.2 * rest[mood]) <= 3


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.15, 0.3, 0.4, 0.5])
def test_validation_has_the_size_that_is_asked_for(fraction):
    tracks = [track(n, MOODS[n % 3], artist=f"a{n % 50}") for n in range(300)]
    split = split_of(tracks, [str(n) for n in range(300)], validation_fraction=fraction)
    rest = len(split.train) + len(split.validation)
    assert len(split.validation) == pytest.approx(fraction * rest, abs=6)


def test_a_split_depends_on_the_seed_alone():
    tracks, keys = random_library(0)
    assert split_of(tracks, keys, seed=3) == split_of(tracks, keys, seed=3)
    assert split_of(tracks, keys, seed=3) != split_of(tracks, keys, seed=4)


def test_songs_of_unknown_artists_are_split_one_by_one():
    tracks = [track(n, MOODS[n % 3], artist="Various Artists") for n in range(30)]
    split = split_of(tracks, [str(n) for n in range(30)])
    assert len(split.test) == 6
    assert split.train
    assert split.validation


def test_two_artists_joined_by_one_content_stay_together():
    tracks = [track(n, MOODS[n % 3], artist=f"a{n}") for n in range(30)]
    keys = [str(n) for n in range(30)]
    keys[0] = keys[3] = "same"
    tracks[6] = replace(tracks[6], artist="A3 ")
    for fold in range(5):
        parts = split_of(tracks, keys, fold).part_of()
        assert parts[0] == parts[3] == parts[6]


def test_every_mood_keeps_songs_to_learn_from():
    for seed in range(20):
        generator = random.Random(seed)
        tracks = [track(n, MOODS[n % 3], artist=f"a{generator.randint(0, 9)}") for n in range(24)]
        try:
            split = split_of(tracks, [str(n) for n in range(24)], num_folds=3, seed=seed)
        except DataError as error:
            assert "left to learn from" in str(error)
            continue
        assert {tracks[index].mood for index in split.train} == set(MOODS)


def test_a_mood_of_one_artist_in_the_test_part_is_an_error():
    tracks = [track(n, MOODS[n % 3], artist="Bob" if n % 3 == 1 else f"a{n}") for n in range(30)]
    errors = []
    for fold in range(5):
        try:
            split_of(tracks, [str(n) for n in range(30)], fold)
        except DataError as error:
            errors.append(str(error))
    assert len(errors) == 1
    assert "no song of peaceful" in errors[0]


def test_a_part_that_lacks_a_mood_is_told(caplog):
    tracks = [track(n, MOODS[n % 2]) for n in range(20)] + [track(n, MOODS[2]) for n in (20, 21)]
    for fold in range(5):
        split_of(tracks, [str(n) for n in range(22)], fold)
    assert "the test part has no song of emotional" in caplog.text


def test_folds_that_do_not_exist_are_answered_with_those_that_do():
    tracks, keys = random_library(0)
    with pytest.raises(SettingError, match="--fold is 5; the folds are 0, 1, 2, 3, 4"):
        split_of(tracks, keys, fold=5)
    given = [replace(t, fold=1 + n % 2, artist=None) for n, t in enumerate(tracks)]
    with pytest.raises(SettingError, match="--fold is 0; the folds are 1, 2"):
        split_of(given, [str(n) for n in range(len(given))], fold=0)


def test_more_folds_than_artists_are_refused():
    tracks = [track(n, MOODS[n % 3], artist=f"a{n % 3}") for n in range(30)]
    with pytest.raises(SettingError, match="only 3 artists"):
        split_of(tracks, [str(n) for n in range(30)])


def test_given_folds_are_used_as_they_are():
    tracks = [track(n, MOODS[n % 3], artist=f"a{n // 2}", fold=n // 2 % 4) for n in range(80)]
    keys = [str(n) for n in range(80)]
    for fold in range(4):
        split = split_of(tracks, keys, fold)
        assert split.test == tuple(n for n in range(80) if n // 2 % 4 == fold)
        assert (split.source, split.fold) == ("given folds", fold)
        assert split.folds == tuple(t.fold for t in tracks)


def given_parts():
    tracks = [
        track(n, MOODS[n % 3], artist=f"a{n}", part=PARTS[min(2, n // 10)]) for n in range(30)
    ]
    return tracks, [str(n) for n in range(30)]


def test_given_parts_are_used_as_they_are():
    tracks, keys = given_parts()
    split = split_of(tracks, keys)
    assert split.train == tuple(range(10))
    assert split.validation == tuple(range(10, 20))
    assert split.test == tuple(range(20, 30))
    assert (split.fold, split.source) == (None, "given parts")
    with pytest.raises(SettingError, match="--fold is 1"):
        split_of(tracks, keys, fold=1)


def test_validation_is_drawn_from_train_where_only_train_and_test_are_given():
    tracks, keys = given_parts()
    tracks = [replace(t, part="test" if t.part == "test" else "train") for t in tracks]
    split = split_of(tracks, keys)
    assert split.test == tuple(range(20, 30))
    assert 3 <= len(split.validation) <= 6
    assert sorted((*split.train, *split.validation)) == list(range(20))


def test_given_parts_that_leak_are_refused_with_names():
    tracks, keys = given_parts()
    same_artist = list(tracks)
    same_artist[25] = replace(tracks[25], artist=" A3")
    with pytest.raises(DataError, match="artist 'a3' in train and test"):
        split_of(same_artist, keys)
    same_content = list(keys)
    same_content[25] = keys[3]
    with pytest.raises(DataError, match=rf"content \({tracks[3].name}, {tracks[25].name}\)"):
        split_of(tracks, same_content)
    same_song = list(tracks)
    same_song[25] = replace(tracks[25], path=tracks[13].path)
    with pytest.raises(DataError, match=r"one song .* in validation and test"):
        split_of(same_song, keys)


def test_a_guest_on_two_sides_of_a_given_split_is_a_warning(caplog):
    tracks, keys = given_parts()
    tracks[25] = replace(tracks[25], artist="Somebody & A3")
    assert split_of(tracks, keys).test == tuple(range(20, 30))
    assert "the given split may leak: artist 'a3' in train and test" in caplog.text


def test_songs_that_share_any_artist_and_albums_without_artists_stay_together(caplog):
    credits = ["A", "A feat. B", "C;A", "D/B", "Á", "The A", "Friend & His Band"]
    tracks = [track(n, MOODS[n % 3], artist=credits[n]) for n in range(7)]
    tracks += [track(n, MOODS[n % 3], album="Hits") for n in range(7, 10)]
    tracks += [track(n, MOODS[n % 3], artist="E", album_artist="A") for n in (10, 11)]
    tracks += [track(n, MOODS[n % 3], album="Unknown Album") for n in range(12, 24)]
    keys = [str(n) for n in range(24)]
    for fold in range(5):
        parts = split_of(tracks, keys, fold).part_of()
        assert len({parts[n] for n in (*range(6), 10, 11)}) == 1
        assert len({parts[n] for n in (7, 8, 9)}) == 1
    assert len({split_of(tracks, keys, fold).part_of()[n] for n in range(12, 24)}) > 1
    assert "8 of 24" not in caplog.text
    split_of(tracks[:20], keys[:20])
    assert "8 of 20 songs stay on one side" in caplog.text and "7 of them name 'A'" in caplog.text


def test_given_folds_that_leak_are_refused():
    tracks = [track(n, MOODS[n % 3], artist=f"a{n % 7}", fold=n % 5) for n in range(70)]
    with pytest.raises(DataError, match="leaks"):
        split_of(tracks, [str(n) for n in range(70)])


def test_a_track_in_two_parts_is_refused():
    tracks, keys = given_parts()
    split = Split(train=(0, 1), validation=(1,), test=(2,), fold=None, source="by hand")
    with pytest.raises(DataError, match="two parts"):
        check_no_leak(tracks, keys, split)


def test_a_written_split_is_read_again(tmp_path):
    for seed in range(3):
        tracks, keys = random_library(seed)
        split = split_of(tracks, keys, fold=2, seed=seed)
        write_split(tmp_path / "split.csv", tracks, keys, split)
        again = read_split(tmp_path / "split.csv", tracks, keys)
        assert replace(again, source=split.source) == split
    header = (tmp_path / "split.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "name,mood,artist,fold,part,key"


def test_a_split_is_found_again_in_another_order(tmp_path):
    tracks, keys = random_library(1)
    split = split_of(tracks, keys)
    write_split(tmp_path / "split.csv", tracks, keys, split)
    again = read_split(tmp_path / "split.csv", tracks[::-1], keys[::-1])
    names = {tracks[index].name for index in split.test}
    assert {tracks[::-1][index].name for index in again.test} == names


def test_a_split_of_other_songs_is_refused(tmp_path):
    tracks, keys = given_parts()
    write_split(tmp_path / "split.csv", tracks, keys, split_of(tracks, keys))
    for changed_tracks, changed_keys in (
        (tracks[1:], keys[1:]),
        ([*tracks, track(99)], [*keys, "99"]),
        (tracks, ["other", *keys[1:]]),
    ):
        with pytest.raises(DataError, match="not those of the run"):
            read_split(tmp_path / "split.csv", changed_tracks, changed_keys)
    (tmp_path / "split.csv").write_text("nothing\n1\n")
    with pytest.raises(DataError, match="not the split of a run"):
        read_split(tmp_path / "split.csv", tracks, keys)


@pytest.mark.skipif(not EMOTIFY.is_dir(), reason="the songs are not in ../shared/data/emotify")
def test_the_five_published_folds_are_recognised():
    tracks = read_library(DataConfig(data=EMOTIFY)).tracks
    keys = [t.name for t in tracks]
    tested = []
    for fold in range(5):
        split = split_of(tracks, keys, fold)
        assert split.source == "given folds"
        assert len(split.test) == 60
        assert len(split.validation) == pytest.approx(48, abs=2)
        assert all(tracks[index].fold == fold for index in split.test)
        assert all(len(parts) == 1 for parts in sides(tracks, keys, split).values())
        tested += split.test
    assert sorted(tested) == list(range(300))
    assert len({artist_key(t.artist) for t in tracks}) == 103


def test_all_songs_are_learned_from_where_none_are_to_be_tested():
    tracks, keys = random_library(3)
    split = split_of(tracks, keys, all_songs=True, validation_fraction=0.2)
    assert split.test == () and split.fold is None
    assert sorted((*split.train, *split.validation)) == list(range(len(tracks)))


def test_data_sets_keep_their_folds_and_share_no_artist_across_them():
    given = [track(n, MOODS[n % 3], artist=f"a{n}", data="given", fold=n % 3) for n in range(30)]
    # The other set brings no folds; one of its artists is tested on in fold 0 of the first.
    made = [track(n, MOODS[n % 3], artist=f"b{n}", data="made", name=f"m{n}") for n in range(30)]
    made[4] = replace(made[4], artist="A0")
    tracks, keys = [*given, *made], [str(n) for n in range(60)]
    for fold in range(3):
        split = make_split(tracks, keys, fold=fold, num_folds=3, validation_fraction=0.2)
        assert {n for n in split.test if n < 30} == set(range(fold, 30, 3))
        parts = split.part_of()
        assert len({parts.get(0), parts.get(34)} - {None}) == 1
        for part in PARTS:
            assert {tracks[n].data for n in getattr(split, part)} == {"given", "made"}
    assert split.folds[:30] == tuple(n % 3 for n in range(30))
