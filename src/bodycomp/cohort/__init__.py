"""Phantom patients on disk: DICOM studies, truth, and both training sets."""

from bodycomp.cohort.options import CohortOptions, default_splits
from bodycomp.cohort.truth import PatientTruth, read_truth
from bodycomp.cohort.write import CohortSummary, write_cohort

__all__ = [
    "CohortOptions",
    "CohortSummary",
    "PatientTruth",
    "default_splits",
    "read_truth",
    "write_cohort",
]
