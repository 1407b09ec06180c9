"""Reading folders, manifests, the Emotify layout and demo clips; joining them with the cache."""

import csv
import importlib.util
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from melodai.config import DataConfig
from melodai.data import demo
from melodai.data.artists import artist_key
from melodai.data.cache import build_cache
from melodai.data.corpus import check_enough, join, prepare
from melodai.data.emotify import EMOTIONS, GENRES, Votes, label_of
from melodai.data.library import read_library
from melodai.errors import DataError, DependencyError, MelodaiError, SettingError
from melodai.labels import FIVE, THREE
from tests.conftest import noise, sine, write_audio

EMOTIFY = Path(__file__).resolve().parents[2] / "shared" / "data" / "emotify"
needs_emotify = pytest.mark.skipif(
    not EMOTIFY.is_dir(), reason="the Emotify songs are not in ../shared/data/emotify"
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def read(data, **options):
    return read_library(DataConfig(data=data, **options))


def moods_by_name(library):
    return {track.name: track.mood for track in library.tracks}


# Folder per mood


def test_folders_are_moods_whatever_their_case_and_depth(tmp_path):
    for name in (
        "Energetic/a.mp3", "energetic/deep/er/b.FLAC", "PEACEFUL/c.ogg", "emotional/d.m4a",
        "emotional/e.opus", "emotional/f.aac", "emotional/g.WAV",
    ):  # fmt: skip
        touch(tmp_path / name)
    library = read(tmp_path)
    assert library.moods == ("energetic", "peaceful", "emotional")
    assert library.name == tmp_path.name
    assert moods_by_name(library) == {
        "Energetic/a.mp3": "energetic",
        "energetic/deep/er/b.FLAC": "energetic",
        "PEACEFUL/c.ogg": "peaceful",
        **{f"emotional/{name}": "emotional" for name in ("d.m4a", "e.opus", "f.aac", "g.WAV")},
    }


def test_five_moods_merge_to_three(tmp_path):
    moods = ("party", "Drive", "calm", "romantic", "sad")
    for mood in moods:
        touch(tmp_path / mood / "a.mp3")
    three = {name.partition("/")[0]: mood for name, mood in moods_by_name(read(tmp_path)).items()}
    assert three == dict(
        party="energetic", Drive="peaceful", calm="peaceful", romantic="emotional", sad="emotional"
    )
    five = read(tmp_path, moods="five")
    assert sorted(track.mood for track in five.tracks) == sorted(mood.lower() for mood in moods)


def test_moods_are_the_labels_of_the_data_in_any_language(tmp_path):
    for mood in ("切ない", "Happy", "happy ", "غضب", "🔥 party"):
        touch(tmp_path / mood / "a.mp3")
    library = read(tmp_path)
    assert library.moods == ("Happy", "غضب", "切ない", "🔥 party")
    assert moods_by_name(library)["happy /a.mp3"] == "Happy"


def test_named_moods_give_the_order_and_leave_the_others_out(tmp_path):
    for mood in ("chill", "angry", "Happy", "odd"):
        touch(tmp_path / mood / "a.mp3")
    library = read(tmp_path, moods="happy,angry, chill")
    assert library.moods == ("happy", "angry", "chill")
    assert moods_by_name(library)["Happy/a.mp3"] == "happy"
    assert library.warnings == ("1 songs of other moods are left out: 'odd'",)
    with pytest.raises(DataError, match="not among the moods groovy, calm"):
        read(tmp_path, moods="groovy,calm")


def test_a_folder_that_is_none_of_a_named_set_is_an_error(tmp_path):
    touch(tmp_path / "peaceful" / "a.mp3")
    touch(tmp_path / "groovy" / "a.mp3")
    with pytest.raises(DataError, match=r"'groovy': not among the moods energetic, peaceful"):
        read(tmp_path, moods="three")
    with pytest.raises(DataError, match="leave --moods out"):
        read(tmp_path, moods="five")


def test_other_files_are_ignored_and_counted(tmp_path):
    touch(tmp_path / "peaceful" / "a.mp3")
    for name in ("readme.txt", "peaceful/cover.jpg", "peaceful/._a.mp3", "notes/plan.txt"):
        touch(tmp_path / name)
    touch(tmp_path / ".git" / "song.mp3")
    library = read(tmp_path)
    assert [track.name for track in library.tracks] == ["peaceful/a.mp3"]
    assert library.warnings == ("4 files that are not audio were ignored",)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: touch(p / "peaceful" / "a.txt")])
def test_a_folder_without_songs_is_an_error(tmp_path, make):
    make(tmp_path)
    with pytest.raises(DataError, match=r"no songs found.*a folder per mood"):
        read(tmp_path)


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="neither a folder nor a CSV"):
        read(touch(tmp_path / "song.mp3"))


def test_soft_labels_where_there_are_none_are_refused(tmp_path):
    touch(tmp_path / "peaceful" / "a.mp3")
    with pytest.raises(SettingError, match="--soft-labels"):
        read(tmp_path, soft_labels=True)


# CSV manifest


def manifest(folder, text, encoding="utf-8"):
    path = folder / "songs.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_manifest_gives_all_it_knows(tmp_path):
    path = manifest(
        tmp_path,
        "file,mood,artist,album,title,fold,split\n"
        "sub/a.mp3,Energetic,Ann,Alb,One,2,train\n"
        f"{tmp_path}/b.mp3,sad,,,,0,VAL\n",
    )
    first, second = read(path, moods="three").tracks
    assert first.path == tmp_path / "sub" / "a.mp3"
    assert (first.name, first.mood) == ("sub/a.mp3", "energetic")
    assert (first.artist, first.album, first.title) == ("Ann", "Alb", "One")
    assert (first.fold, first.part) == (2, "train")
    assert (second.name, second.mood, second.artist) == ("b.mp3", "emotional", None)
    assert (second.fold, second.part) == (0, "validation")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_manifests_of_any_spreadsheet_are_read(tmp_path, delimiter, encoding, newline):
    lines = (["Mood ", " FILE"], ["calm", "ä.mp3"], ["", ""], [" sad ", ' "b, c; d.mp3"'])
    if delimiter != "\t":
        lines[3][1] = '"b, c; d.mp3"'
    else:
        lines[3][1] = "b, c; d.mp3"
    text = newline.join(delimiter.join(line) for line in lines) + newline
    if delimiter == ";":
        text = f"sep=;{newline}{text}"  # as Excel writes it
    assert moods_by_name(read(manifest(tmp_path, text, encoding), moods="three")) == {
        "ä.mp3": "peaceful",
        "b, c; d.mp3": "emotional",
    }


def test_wrong_rows_are_named_by_their_number(tmp_path):
    path = manifest(
        tmp_path, "file,mood,fold\na.mp3,calm,0\nb.mp3,groovy,y\n,calm,0\nc.mp3,,0\nd,sad,x\n"
    )
    with pytest.raises(DataError) as caught:
        read(path)
    for part in ("row 3: fold 'y'", "row 4: no file", "row 5: no mood", "row 6: fold"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("song,feeling\na,b\n", "columns file and mood are needed"),
        ("file,mood\n", "lists no songs"),
        ("file,mood,mood\na,sad,sad\n", "stands there twice"),
        ("file,mood,split\na.mp3,sad,holdout\n", "split 'holdout'"),
        ("file,mood,fold\na.mp3,sad,1\nb.mp3,sad,\n", "some songs have a fold, but not b.mp3"),
        ("file,mood\na.mp3,sad\na.mp3,calm\n", "row 3: a.mp3 is listed before"),
        ("file,energetic,peaceful\na.mp3,1,0\n", "lack a column emotional"),
    ],
)
def test_manifests_that_cannot_be_used_say_why(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read(manifest(tmp_path, text))


def test_rows_are_counted_from_the_line_that_excel_puts_first(tmp_path):
    with pytest.raises(DataError, match="row 4: no mood"):
        read(manifest(tmp_path, "sep=;\nfile;mood\na;sad\nb;\n"))


def test_files_are_found_beside_the_list_and_in_the_working_folder_however_written(
    tmp_path, monkeypatch
):
    lists, music = tmp_path / "lists", tmp_path / "Müsic"
    for path in (lists / "a 1.mp3", tmp_path / "a 1.mp3", music / "b.mp3", tmp_path / "me/c.mp3"):
        touch(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    entries = {
        "a 1.mp3": lists / "a 1.mp3",  # the list's own folder comes first
        "a%201.mp3": lists / "a 1.mp3",
        "Müsic/b.mp3": music / "b.mp3",
        ".\\Müsic\\b.mp3": music / "b.mp3",
        "C:\\Users\\me\\Müsic\\b.mp3": music / "b.mp3",
        (music / "b.mp3").as_uri(): music / "b.mp3",
        unicodedata.normalize("NFD", "Müsic/b.mp3"): music / "b.mp3",
        "~/c.mp3": tmp_path / "me" / "c.mp3",
    }
    for entry, there in entries.items():
        (track,) = read(manifest(lists, f"file,mood\n{entry},sad\n")).tracks
        assert track.path.samefile(there), entry


def test_missing_files_are_counted_and_end_the_run_unless_that_is_allowed(mood_folder, tmp_path):
    songs = [f"{path},{path.parent.name}" for path in sorted(mood_folder().rglob("*.flac"))]
    missing = [f"/mnt/music/{number}.mp3,peaceful" for number in range(5000)]
    path = manifest(tmp_path, "\n".join(["file,mood", *songs, *missing]))
    with pytest.raises(DataError, match=r"5000 of 5012 .*/mnt/music/0\.mp3, .* and 4990 more") as e:
        corpus_of(path, tmp_path)
    assert "--allow-missing" in str(e.value) and len(str(e.value)) < 500
    corpus = corpus_of(path, tmp_path, allow_missing=True)
    assert len(corpus.tracks) == 12 and any("5000 of 5012" in text for text in corpus.warnings)


def test_folders_of_a_split_are_no_moods(tmp_path):
    for part in ("Train", "valid", "test"):
        for mood in ("happy", "sad"):
            touch(tmp_path / part / mood / "deeper" / "a.mp3")
    library = read(tmp_path)
    assert library.moods == ("happy", "sad")
    assert {track.name.split("/")[0]: track.part for track in library.tracks} == {
        "Train": "train",
        "valid": "validation",
        "test": "test",
    }
    touch(tmp_path / "angry" / "a.mp3")
    with pytest.raises(DataError, match="Train, test, valid are parts of a split"):
        read(tmp_path)


def test_a_mood_may_be_called_as_a_part_of_a_split_is(tmp_path):
    touch(tmp_path / "test" / "a.mp3"), touch(tmp_path / "happy" / "a.mp3")
    assert read(tmp_path).moods == ("happy", "test")


def test_columns_that_are_not_used_are_told(tmp_path):
    library = read(manifest(tmp_path, "file,mood,artits\na.mp3,sad,Ann\n"))
    assert library.warnings == ("columns that are not used: artits",)


def test_a_song_listed_twice_alike_is_used_once(tmp_path):
    library = read(manifest(tmp_path, "file,mood\na.mp3,sad\na.mp3,sad\n"))
    assert len(library.tracks) == 1
    assert "row 3" in library.warnings[0]


def test_soft_labels_become_shares_and_the_largest_is_the_mood(tmp_path):
    text = "file,energetic,peaceful,emotional,mood,votes\na.mp3,1,2,1,,8\nb.mp3,0.5,0.3,0.2,sad,\n"
    first, second = read(manifest(tmp_path, text), soft_labels=True).tracks
    assert (first.mood, first.scores, first.num_votes) == ("peaceful", (0.25, 0.5, 0.25), 8)
    assert second.mood == "emotional"
    assert second.scores == pytest.approx((0.5, 0.3, 0.2))


def test_soft_labels_of_five_moods_merge_by_their_sum(tmp_path):
    path = manifest(tmp_path, "file,party,drive,calm,romantic,sad\na.mp3,1,2,3,0,4\n")
    assert read(path).tracks[0].scores == (0.1, 0.5, 0.4)
    assert read(path, moods="five").tracks[0].mood == "sad"


def test_soft_labels_may_be_of_any_moods(tmp_path):
    path = manifest(
        tmp_path, "file,mood,Happy,sleepy,bpm\na.mp3,sleepy,1,3,120\nb.mp3,happy,1,1,99\n"
    )
    library = read(path, soft_labels=True)
    assert library.moods == ("happy", "sleepy")
    assert [track.scores for track in library.tracks] == [(0.25, 0.75), (0.5, 0.5)]
    assert library.warnings == ("columns that are not used: bpm",)


@pytest.mark.parametrize("values", ["1,x,0", "-1,1,1", "0,0,0", "nan,1,1", "1,,0"])
def test_soft_labels_that_are_no_shares_are_refused(tmp_path, values):
    with pytest.raises(DataError, match="row 2: soft label"):
        read(manifest(tmp_path, f"file,energetic,peaceful,emotional\na.mp3,{values}\n"))


def test_backslashes_of_windows_are_understood(tmp_path):
    song = touch(tmp_path / "sub" / "a.mp3")
    assert read(manifest(tmp_path, "file,mood\nsub\\a.mp3,sad\n")).tracks[0].path == song


# Emotify

COLUMNS = (
    "track id, genre, amazement, solemnity, tenderness, nostalgia, calmness, power,"
    " joyful_activation, tension, sadness, mood, liked, disliked, age, gender, mother tongue"
)


def emotify_layout(root, votes):
    """`votes`: track number -> list of sets of chosen emotions."""
    names = [name.strip() for name in COLUMNS.split(",")]
    lines = [COLUMNS]
    for number, listeners in votes.items():
        genre = GENRES[(number - 1) // 100]
        touch(root / "emotifymusic" / genre / f"{(number - 1) % 100 + 1}.mp3")
        for chosen in listeners:
            values = [str(int(name in chosen)) for name in names[2:11]]
            lines.append(",".join([str(number), genre, *values, "3,1,0,30,1,Dutch"]))
    (root / "data.csv").write_text("\n".join(lines) + "\n")
    return root


def test_votes_become_moods_as_published(tmp_path):
    root = emotify_layout(
        tmp_path,
        {
            1: [{"power"}, {"power", "calmness"}],
            100: [{"calmness", "solemnity"}, {"sadness"}],
            101: [{"tenderness", "nostalgia", "sadness"}, {"power"}],
            400: [{"amazement"}, {"tension"}],
        },
    )
    library = read(root)
    assert library.name == "emotify"
    assert moods_by_name(library) == {
        "emotifymusic/classical/1.mp3": "energetic",
        "emotifymusic/classical/100.mp3": "peaceful",
        "emotifymusic/rock/1.mp3": "emotional",
    }
    assert "emotifymusic/pop/100.mp3" in library.warnings[0]
    first = library.tracks[0]
    assert first.scores == pytest.approx((0.5 / 0.75, 0.25 / 0.75, 0))
    assert (first.num_votes, first.genre, first.artist, first.fold) == (2, "classical", None, None)


def test_equal_scores_go_to_the_higher_sum_of_rates():
    def votes(**counts):
        zero = {name: 0 for moods in EMOTIONS.values() for name in moods}
        return Votes(6, zero | counts)

    # One third each: energetic and peaceful from two emotions, emotional from three.
    tie = votes(power=4, calmness=4, tenderness=2, nostalgia=2, sadness=2)
    assert label_of(tie, THREE)[0] == "emotional"
    assert label_of(votes(sadness=4, nostalgia=2, power=3), FIVE)[0] == "sad"
    assert label_of(votes(), THREE) is None


def test_songs_outside_of_the_folds_are_left_out_with_a_warning(tmp_path):
    root = emotify_layout(tmp_path, {1: [{"power"}], 2: [{"power"}]})
    (root / "folds.csv").write_text("track,artist,album,fold\n2,Ann,Alb,3\n")
    library = read(root)
    [track] = library.tracks
    assert (track.artist, track.album, track.fold) == ("Ann", "Alb", 3)
    assert "classical/1.mp3" in library.warnings[0]


def test_a_table_that_is_not_emotifys_is_an_error(tmp_path):
    touch(tmp_path / "emotifymusic" / "rock" / "1.mp3")
    (tmp_path / "data.csv").write_text("track id,genre\n1,rock\n")
    with pytest.raises(DataError, match="calmness"):
        read(tmp_path)


@needs_emotify
def test_all_published_songs_have_the_published_moods_and_folds():
    library = read(EMOTIFY, soft_labels=True)
    with (EMOTIFY / "folds.csv").open(encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert len(library.tracks) == len(rows) == 300
    for track in library.tracks:
        row = rows[track.name]
        assert track.mood == row["mood"]
        assert track.fold == int(row["fold"])
        assert track.num_votes == int(row["votes"])
        assert artist_key(track.artist) == artist_key(row["artist"])
        assert sum(track.scores) == pytest.approx(1)
        assert track.scores[library.moods.index(track.mood)] == pytest.approx(max(track.scores))


# Demo


@pytest.mark.skipif(
    importlib.util.find_spec(demo.PACKAGE) is None, reason="the demo clips are not installed"
)
def test_the_demo_clips_have_their_styles_for_moods_and_no_prompt_is_split():
    library = read(None)
    assert len(library.tracks) == 28 and library.moods == demo.STYLES
    assert all(track.mood in track.name for track in library.tracks)
    assert {track.artist for track in library.tracks} == set(demo.FOLDERS)
    assert demo.PACKAGE not in sys.modules


def test_without_the_demo_package_the_error_gives_the_command(monkeypatch):
    monkeypatch.setattr(demo, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(DependencyError, match=r"pip install 'melodai\[demo\]'"):
        read(None)


# Join


def corpus_of(data, tmp_path, **options):
    return prepare(
        DataConfig(data=data, cache_dir=tmp_path / "cache", num_decoders=1, **options), 8000
    )


def test_gaps_are_filled_from_the_tags_and_the_data_has_the_last_word(tmp_path):
    for number in range(6):
        write_audio(tmp_path / f"{number}.flac", noise(4, number), artist=f"tag{number}", title="T")
    moods = ("energetic", "peaceful", "emotional") * 2
    lines = [f"{n}.flac,{mood},{'Given' if n == 0 else ''}" for n, mood in enumerate(moods)]
    corpus = corpus_of(manifest(tmp_path, "file,mood,artist\n" + "\n".join(lines)), tmp_path)
    assert [track.artist for track in corpus.tracks] == ["Given", *(f"tag{n}" for n in range(1, 6))]
    assert {track.title for track in corpus.tracks} == {"T"}
    assert corpus.classes == (0, 1, 2, 0, 1, 2)
    assert corpus.seconds == pytest.approx(24)
    assert len(set(corpus.keys)) == 6


def test_files_that_cannot_be_used_are_named_together_and_left_out(mood_folder, tmp_path):
    folder = mood_folder()
    (folder / "peaceful" / "text.mp3").write_text("no music")
    write_audio(folder / "peaceful" / "short.wav", sine(1))
    corpus = corpus_of(folder, tmp_path)
    assert len(corpus.tracks) == len(corpus.entries) == 12
    [warning] = [text for text in corpus.warnings if "cannot be used" in text]
    assert "2 of 14 files" in warning
    assert "peaceful/text.mp3: not an audio file" in warning
    assert "peaceful/short.wav: 1.0 s long" in warning
    assert [failure.path.name for failure in corpus.failures] == ["short.wav", "text.mp3"]
    with pytest.raises(DataError, match=r"text\.mp3"):
        corpus_of(folder, tmp_path, strict=True)


def test_a_second_copy_with_the_same_mood_is_left_out(mood_folder, tmp_path):
    folder = mood_folder()
    song = folder / "peaceful" / "peaceful0.flac"
    (folder / "peaceful" / "zcopy.flac").write_bytes(song.read_bytes())
    corpus = corpus_of(folder, tmp_path)
    assert len(corpus.tracks) == 12
    assert any("peaceful0.flac = peaceful/zcopy.flac" in text for text in corpus.warnings)


def test_one_content_with_two_moods_is_an_error_that_names_both(mood_folder, tmp_path):
    folder = mood_folder()
    song = folder / "peaceful" / "peaceful0.flac"
    (folder / "emotional" / "copy.flac").write_bytes(song.read_bytes())
    with pytest.raises(DataError, match=r"emotional/copy\.flac = peaceful/peaceful0\.flac"):
        corpus_of(folder, tmp_path)


def test_copies_on_two_sides_of_a_given_split_are_an_error(mood_folder, tmp_path):
    folder = mood_folder(songs=1)
    library = read(folder)
    report = build_cache(
        [track.path for track in library.tracks], sample_rate=8000, cache_dir=tmp_path / "cache"
    )
    copy = replace(library.tracks[0], path=folder / "copy.flac", name="copy.flac", part="test")
    report.entries[copy.path] = report.entries[library.tracks[0].path]
    with pytest.raises(DataError, match=r"copy\.flac.*two sides"):
        join(replace(library, tracks=(*library.tracks, copy)), report, 8000)


def test_a_mood_with_too_few_songs_or_artists_is_an_error(mood_folder, tmp_path):
    corpus = corpus_of(mood_folder(songs=3), tmp_path)
    peaceful = [n for n, track in enumerate(corpus.tracks) if track.mood == "peaceful"]

    def keep(*indices, artist=None):
        tracks = tuple(
            replace(t, artist=artist) if artist and t.mood == "peaceful" else t
            for n, t in enumerate(corpus.tracks)
            if n in indices
        )
        return replace(corpus, tracks=tracks)

    others = [n for n in range(9) if n not in peaceful]
    check_enough(keep(*others, *peaceful[:2]))
    for few in (peaceful[:1], []):
        with pytest.raises(DataError, match=f"peaceful has {len(few)} songs"):
            check_enough(keep(*others, *few))
    with pytest.raises(DataError, match="all 3 songs of the mood peaceful are by Bob"):
        check_enough(keep(*others, *peaceful, artist="Bob"))
    with pytest.raises(DataError, match="none of the files"):
        check_enough(keep())


def test_songs_that_cannot_be_used_at_all_end_the_run(tmp_path):
    for mood in ("energetic", "peaceful", "emotional"):
        touch(tmp_path / "songs" / mood / "a.mp3")
    with pytest.raises(MelodaiError, match=r"a\.mp3: the file is empty"):
        corpus_of(tmp_path / "songs", tmp_path)


# 4Q


def quadrants_layout(root, rows):
    lines = ["file,quadrant,artist,title,genres,mood_words,share,artist_key,fold"]
    for file, quadrant, artist, fold in rows:
        touch(root / file)
        lines.append(f"{file},{quadrant},{artist},T,Jazz; Blues,Sad,0.5,{artist.lower()},{fold}")
    (root / "clips.csv").write_text("\n".join(lines) + "\n")
    return root


def test_clips_in_quadrants_become_quadrants_or_three_moods_by_their_own_table(tmp_path):
    rows = [(f"Q{q}/{q}.mp3", f"Q{q}", f"Artist {q}", q) for q in (1, 2, 3, 4)]
    root = quadrants_layout(tmp_path, rows)
    touch(root / "Q1" / "more.mp3")
    library = read(root)
    assert (library.name, library.moods) == ("4q", ("Q1", "Q2", "Q3", "Q4"))
    assert library.warnings == ("clips that are not in clips.csv are left out: Q1/more.mp3",)
    first = library.tracks[0]
    assert (first.artist, first.title, first.genre, first.fold) == ("Artist 1", "T", "Jazz", 1)
    three = [track.mood for track in read(root, moods="three").tracks]
    assert three == ["energetic", "energetic", "emotional", "peaceful"]
    five = [track.mood for track in read(root, moods="five").tracks]
    assert five == ["party", "drive", "sad", "calm"]


@pytest.mark.parametrize(("quadrant", "fold"), [("Q5", "1"), ("Q1", "x")])
def test_a_wrong_row_of_the_clips_is_named(tmp_path, quadrant, fold):
    quadrants_layout(tmp_path, [("Q1/1.mp3", quadrant, "A", fold)])
    with pytest.raises(DataError, match="row 2"):
        read(tmp_path)


# Several data sets


def test_several_data_sets_become_one_with_the_moods_that_all_fit(tmp_path):
    emotify = emotify_layout(tmp_path / "a", {1: [{"power"}], 2: [{"calmness"}], 3: [{"sadness"}]})
    rows = [(f"Q{q}/{q}.mp3", f"Q{q}", f"Artist {q}", q) for q in (1, 2, 3, 4)]
    library = read([emotify, quadrants_layout(tmp_path / "b", rows)])
    assert (library.name, library.moods) == ("emotify+4q", THREE)
    first, last = library.tracks[0], library.tracks[-1]
    assert (first.data, first.name) == ("emotify", "emotify/emotifymusic/classical/1.mp3")
    assert (last.data, last.name, last.mood, last.fold) == ("4q", "4q/Q4/4.mp3", "peaceful", 4)
    soft = read([emotify, tmp_path / "b"], soft_labels=True)
    assert [track.scores is None for track in soft.tracks] == [False] * 3 + [True] * 4


def test_data_sets_of_one_name_are_told_apart(tmp_path):
    for place in ("x", "y"):
        for mood in ("happy", "sad"):
            touch(tmp_path / place / "music" / mood / "a.mp3")
    library = read([tmp_path / "x" / "music", tmp_path / "y" / "music"])
    assert [track.data for track in library.tracks] == ["music"] * 2 + ["music (2)"] * 2
    assert len({track.name for track in library.tracks}) == 4


def test_a_song_of_two_data_sets_stays_in_both_and_the_sets_are_balanced(mood_folder, tmp_path):
    one, other = mood_folder(moods=("happy", "sad"), songs=3), tmp_path / "other"
    for mood in ("happy", "sad"):
        write_audio(other / mood / "own.flac", noise(4, len(mood)), artist=f"own {mood}")
    # To the other set the very same song is a sad one.
    (other / "sad" / "copy.flac").write_bytes((one / "happy" / "happy0.flac").read_bytes())
    corpus = corpus_of([one, other], tmp_path)
    assert len(corpus.tracks) == 9
    assert corpus.keys[0] == corpus.keys[corpus.tracks.index(corpus.tracks[-2])]
    weights = dict(zip([t.name for t in corpus.tracks], corpus.set_weights(range(9)), strict=True))
    assert weights["songs/happy/happy0.flac"] == pytest.approx(4 / (2 * 3))
    assert weights["other/happy/own.flac"] == pytest.approx(4 / (2 * 1))
    assert weights["other/sad/copy.flac"] == pytest.approx(5 / (2 * 2))
    assert sum(weights.values()) == pytest.approx(9)
