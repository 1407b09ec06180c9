"""MoodClassifier in scikit-learn's hands.

Of scikit-learn's own checks those are run that do not make up numbers as inputs: inputs here are
paths of audio files.
"""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict
from sklearn.utils import estimator_checks

import melodai
from melodai.errors import DataError, SettingError
from melodai.estimator import MoodClassifier
from tests.songs import make_library

CHECKS = (
    "check_estimator_cloneable", "check_estimator_repr", "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_no_attributes_set_in_init", "check_parameters_default_constructible",
    "check_get_params_invariance", "check_set_params", "check_mixin_order",
)  # fmt: skip


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimator")
    make_library(folder / "songs", songs_per_mood=6)
    paths = sorted((folder / "songs").rglob("*.wav"))
    moods = [path.parent.name for path in paths]
    artists = [f"artist {int(path.stem) % 3} {path.parent.name}" for path in paths]
    return folder, paths, moods, artists


def classifier(folder, **options):
    settings = {"head": "ridge", "segment_seconds": 3.0, "num_decoders": 1}
    return MoodClassifier(cache_dir=folder / "cache", **{**settings, **options})


@pytest.mark.parametrize("name", CHECKS)
def test_it_passes_scikit_learns_checks_that_make_up_no_numbers(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this scikit-learn has no {name}")
    check("MoodClassifier", MoodClassifier())


def test_it_learns_what_can_be_heard_and_says_how_sure_it_is(songs):
    folder, paths, moods, artists = songs
    fitted = classifier(folder).fit(paths, moods, groups=artists)
    assert fitted.classes_.tolist() == sorted(set(moods))
    said = fitted.predict_proba(paths)
    np.testing.assert_allclose(said.sum(1), 1)
    assert fitted.score(paths, moods) == 1
    assert (fitted.held_out_.argmax(1) == np.searchsorted(fitted.classes_, moods)).mean() > 0.8
    assert all(text.startswith("ridge") for text in fitted.chosen_)


def test_the_same_seed_gives_the_same_and_a_song_does_not_depend_on_the_others(songs):
    folder, paths, moods, artists = songs
    one = classifier(folder).fit(paths, moods, groups=artists)
    other = clone(one).fit([str(path) for path in paths], np.array(moods), groups=artists)
    together = one.predict_proba(paths)
    np.testing.assert_array_equal(together, other.predict_proba(paths))
    np.testing.assert_allclose(together[3:4], one.predict_proba(paths[3:4]), atol=1e-6)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(together, again.predict_proba(paths))


def test_it_works_in_a_grid_search_and_in_cross_validation_by_artist(songs):
    folder, paths, moods, artists = songs
    folds = StratifiedGroupKFold(3)
    said = cross_val_predict(classifier(folder), paths, moods, groups=artists, cv=folds)
    assert (said == np.array(moods)).mean() > 0.8
    search = GridSearchCV(classifier(folder), {"head": ["ridge", "svm"]}, cv=folds)
    search.fit(paths, moods, groups=artists)
    assert search.best_params_["head"] in ("ridge", "svm")


def test_what_cannot_be_used_is_told(songs, tmp_path):
    folder, paths, moods, _ = songs
    with pytest.raises(NotFittedError):
        classifier(folder).predict(paths)
    with pytest.raises(ValueError, match="moods"):
        classifier(folder).fit(paths, moods[:-1])
    with pytest.raises(SettingError, match="at least two"):
        classifier(folder).fit(paths[:3], ["calm"] * 3)
    with pytest.raises(SettingError, match="random weights"):
        classifier(folder, arch="advanced").fit(paths, moods)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"bad\.wav"):
        classifier(folder).fit([*paths, tmp_path / "bad.wav"], [*moods, "peaceful"])


def test_it_is_there_under_its_short_name():
    assert melodai.MoodClassifier is MoodClassifier
