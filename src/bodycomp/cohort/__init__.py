"""Phantom patients on disk: DICOM studies, truth, and both training sets."""
