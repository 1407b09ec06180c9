"""Several models on one data set with the same folds: trained or reused, one table, one figure."""

from melodai.comparison.run import Entry, ModelComparison, compare_models

__all__ = ["Entry", "ModelComparison", "compare_models"]
