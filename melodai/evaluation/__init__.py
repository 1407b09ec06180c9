"""What a run is worth: scores, intervals, ceiling, audits and figures, from stored predictions."""

from melodai.lazy import public_names

__getattr__, __all__ = public_names(
    __name__,
    {
        "melodai.evaluation.audit": ["Audit", "audit_songs"],
        "melodai.evaluation.calibration": ["Calibration", "calibrate", "fit_temperature"],
        "melodai.evaluation.ceiling": ["Agreement", "Ceiling"],
        "melodai.evaluation.intervals": ["Interval", "compare_runs", "score_intervals"],
        "melodai.evaluation.predictions": ["Predictions", "make_predictions"],
        "melodai.evaluation.run": ["evaluate_run"],
        "melodai.evaluation.scores": ["Scores", "score"],
        "melodai.evaluation.summary": ["Evaluation", "evaluate"],
    },
)
