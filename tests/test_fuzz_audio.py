"""A small helping of broken and strange files; `python -m tests.fuzz_audio` serves thousands."""

import pytest

from tests.fuzz_audio import clips, decode_all, mutations, strange_wavs

NUM_MUTATIONS = 12


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return clips(tmp_path_factory.mktemp("clips"))


def test_mutations_repeat_themselves_and_differ(originals):
    files = list(mutations(originals[0], 40, seed=1))
    assert files == list(mutations(originals[0], 40, seed=1))
    assert files != list(mutations(originals[0], 40, seed=2))
    assert len({name for name, _ in files}) == 40
    changed = [data for name, data in files if "wrong" not in name]
    assert changed.count(originals[0]) <= 2  # zeros may have met zeros


def test_broken_files_end_in_samples_or_in_a_reason(tmp_path, originals):
    files = [
        (f"{number}-{name}", data)
        for number, original in enumerate(originals)
        for name, data in mutations(original, NUM_MUTATIONS, seed=number)
    ]
    outcomes = decode_all(files, tmp_path, num_decoders=2)
    assert len(outcomes) == len(originals) * NUM_MUTATIONS
    for outcome in outcomes:
        assert outcome.seconds < 10, outcome
        assert "decoder" not in (outcome.reason or ""), outcome
        if "wrong_extension" in outcome.name:
            assert outcome.reason is None, outcome
        if "zero_length" in outcome.name:
            assert outcome.reason == "the file is empty"


def test_strange_wavs_are_read_or_refused_as_they_should_be(tmp_path):
    files = list(strange_wavs())
    is_usable = {name: usable for name, _, usable in files}
    outcomes = decode_all(((name, data) for name, data, _ in files), tmp_path, num_decoders=2)
    for outcome in outcomes:
        assert (outcome.reason is None) == is_usable[outcome.name], outcome
        if outcome.name.startswith(("nan", "inf", "minus-inf")):
            assert outcome.reason == "it holds samples that are not finite numbers"
