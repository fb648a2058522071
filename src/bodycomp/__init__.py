"""Body composition from CT at vertebral levels, with models trained on your own scans.

    import bodycomp

    scan = bodycomp.read_scan("ct/")
    result = bodycomp.load_models("models").analyze(scan)
    result["L3"].areas_cm2

docs/python.md has every function with an example. Importing the package loads nothing else: each
name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

__all__ = [
    "BodycompError",
    "Models",
    "Scan",
    "SeriesResult",
    "analyze",
    "evaluate",
    "load_models",
    "measure",
    "prepare_segmentation",
    "prepare_slice_selection",
    "read_scan",
    "train_segmentation",
    "train_slice_selection",
    "validate",
]

_MODULES = {
    "errors": ("BodycompError",),
    "interface.annotated": ("evaluate", "prepare_segmentation", "prepare_slice_selection"),
    "interface.mask": ("measure",),
    "interface.models": ("Models", "load_models"),
    "interface.runs": ("analyze", "train_segmentation", "train_slice_selection", "validate"),
    "reading.read_scan": ("read_scan",),
    "results": ("SeriesResult",),
    "scan": ("Scan",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            value = getattr(import_module(f"bodycomp.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
