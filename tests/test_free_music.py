"""Music from packages that are built here, read by the program that reads Debian's."""

import shutil
import subprocess
import zipfile

import pytest

from melodai_studies import free_music
from melodai_studies.free_music import Piece, licence_of, read_manifest, write_manifest
from tests.conftest import noise, write_audio

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-3+

Files: music/*
Copyright: 2020 A Composer
License: CC-BY-SA-4.0
"""


def test_the_last_pattern_that_fits_names_the_licence():
    assert licence_of("./usr/share/game/music/a.ogg", COPYRIGHT) == "CC-BY-SA-4.0"
    assert licence_of("./usr/share/game/other.ogg", COPYRIGHT) == "GPL-3+"
    assert licence_of("a.ogg", "It was downloaded from somewhere.") == free_music.UNSAID


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is Debian's")
def test_music_is_found_in_a_package_and_in_archives_within_it(tmp_path):
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: tunes\nVersion: 1.0\nArchitecture: all\nMaintainer: m <m@example.org>\n"
        "Description: tunes\n"
    )
    music = root / "usr/share/tunes/music"
    music.mkdir(parents=True)
    write_audio(music / "long.flac", noise(3))
    write_audio(music / "jingle.flac", noise(0.5))
    write_audio(tmp_path / "inside.flac", noise(4, seed=1))
    with zipfile.ZipFile(music / "more.pk3", "w") as archive:
        archive.write(tmp_path / "inside.flac", "sound/inside.flac")
        archive.write(tmp_path / "inside.flac", "../../escape.flac")
    (root / "usr/share/doc/tunes").mkdir(parents=True)
    (root / "usr/share/doc/tunes/copyright").write_text(COPYRIGHT)
    debian = tmp_path / "tunes_1.0_all.deb"
    subprocess.run(["dpkg-deb", "-b", root, debian], check=True, capture_output=True)

    folder = tmp_path / "out"
    folder.mkdir()
    pieces = list(free_music._unpack(debian, "tunes", folder, 2.0, set()))

    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [piece.licence for piece in pieces] == ["CC-BY-SA-4.0"] * 2  # the copy counts once
    assert sorted(folder / piece.file for piece in pieces) == written
    assert all(path.parent == folder / "tunes" for path in written)


def test_the_manifest_is_read_back_as_it_was_written(tmp_path):
    pieces = [Piece("p", "1:2-3", "p/a, b.ogg", 61.5, "CC0", "00ff")]
    write_manifest(tmp_path / "m.csv", pieces)
    assert read_manifest(tmp_path / "m.csv") == pieces
