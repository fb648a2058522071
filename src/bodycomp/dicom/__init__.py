"""The only readers and writers of DICOM: series in, volumes out, and back."""
