"""Folders of DICOM and NIfTI files in; measurements, pictures and masks of every study out."""
