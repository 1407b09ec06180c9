"""What is no music is told from music, also kinds of it that the detector never heard."""

import numpy as np
import torch

from melodai.data.not_music import KINDS, VARIANTS, not_music
from melodai.probe.space import fit_space
from melodai.references import References

DIMENSION = 40


def world(seed=0, songs=600):
    """Songs that vary in a few directions; other sounds lie elsewhere, of two kinds."""
    random = torch.Generator().manual_seed(seed)
    directions = torch.randn(8, DIMENSION, generator=random)
    music = torch.randn(songs, 8, generator=random) @ directions
    music += 0.3 * torch.randn(music.shape, generator=random)
    away = torch.randn(2, DIMENSION, generator=random) * 2 + 3
    noise, speech = (torch.randn(60, DIMENSION, generator=random) * 0.5 + place for place in away)
    return music, noise, speech


def test_other_sounds_are_unfamiliar_also_unheard_kinds_and_new_songs_seldom(tmp_path):
    music, noise, speech = world()
    known, new = music[:500], music[500:]
    artists = [f"artist {i // 5}" for i in range(len(known))]
    space = fit_space(known, noise, [i // 5 for i in range(len(known))])
    names = [f"song {i}" for i in range(len(known))]
    found = References.of(known, names, artists, ["calm"] * len(known), space)
    found.save(tmp_path / "references.safetensors")
    read = References.load(tmp_path / "references.safetensors")
    assert (read.unfamiliarity(new) > 1).float().mean() < 0.15
    assert (read.unfamiliarity(noise) > 1).all() and (read.unfamiliarity(speech) > 1).all()
    assert read.nearest(known[7], 1)[0].name == "song 7"


def test_the_same_sounds_come_again_and_none_is_silent_or_too_loud():
    sounds = list(not_music(16000, 16000))
    assert len(sounds) == VARIANTS * len(KINDS)
    for sound, again in zip(sounds, not_music(16000, 16000), strict=True):
        np.testing.assert_array_equal(sound, again)
        assert sound.shape == (16000,) and 0.79 < np.abs(sound).max() < 0.81
        assert np.isfinite(sound).all()
