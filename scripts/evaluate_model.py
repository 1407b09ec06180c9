"""Step "evaluate the model" of the study: scores, confusion matrix, bars per mood, curves.

    python scripts/evaluate_model.py RUN --figures pictures

The same as `melodai-evaluate RUN --figures pictures`.
"""

import typer

from melodai.cli.evaluate import evaluate

if __name__ == "__main__":
    typer.run(evaluate)
