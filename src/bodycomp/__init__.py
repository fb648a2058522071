"""bodycomp: body composition from CT, trained on your own scans.

Importing this package loads nothing heavy; torch is imported by the modules that need it.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
