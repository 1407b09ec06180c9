"""What a run is worth: scores, intervals, ceiling, audits and figures, from stored predictions."""
