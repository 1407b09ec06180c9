"""The colours of all figures: those of Okabe and Ito, told apart with any colour vision.

The n-th mood of a model has the n-th colour in every figure.
"""

COLOURS = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
GREY = "#555555"
