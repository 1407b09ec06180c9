"""Words in figures are shown, or named, never boxes."""

import warnings

from matplotlib.figure import Figure

from melodai.legible import legible


def test_letters_without_a_font_are_named_and_dollars_are_no_formulas(monkeypatch):
    monkeypatch.setattr("melodai.legible.FALLBACKS", ())
    figure = Figure()
    axes = figure.subplots()
    axes.set_title("切ない 🔥 غضب A$AP $x")
    axes.plot([0, 1], [0, 1])
    axes.set_xticks([0, 1], ["な", "plain"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a glyph that is missing
        legible(figure).draw_without_rendering()
    assert axes.get_title() == "[U+5207]nai [fire] غضب A$AP $x"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["na", "plain"]
