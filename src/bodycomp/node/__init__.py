"""A DICOM node: receives CT, measures it, and sends the results back."""
