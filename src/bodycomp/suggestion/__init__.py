"""Which slices of unannotated scans to annotate next, with a model's outline as a start."""
