"""From annotated scans to the two training sets of ``data.layout``."""
