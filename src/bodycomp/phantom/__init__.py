"""A parametric torso CT: anatomy from a seed, rendered to HU with the true labels beside it."""

from bodycomp.phantom.patient import PatientParameters, sample_patient
from bodycomp.phantom.scan import ScanParameters, sample_scan
from bodycomp.phantom.torso import Torso

__all__ = [
    "PatientParameters",
    "ScanParameters",
    "Torso",
    "sample_patient",
    "sample_scan",
]
