"""What ``import bodycomp`` offers: one function for each command, and scans and models as values.

Everything behind this package may move; the names in ``bodycomp.__all__`` stay.
"""
