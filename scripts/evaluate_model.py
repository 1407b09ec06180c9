"""Step "evaluate the model" of the study: scores, confusion matrix, bars per mood, curves.

    python scripts/evaluate_model.py RUN --figures pictures

The same as `melodai-evaluate RUN --figures pictures`.
"""

from melodai.cli.evaluate import evaluate
from melodai.cli.main import run_script

if __name__ == "__main__":
    run_script(evaluate)
