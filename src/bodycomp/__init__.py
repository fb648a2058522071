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

_MODULE_OF = {
    "BodycompError": "errors",
    "Models": "interface.models",
    "Scan": "scan",
    "SeriesResult": "results",
    "analyze": "interface.runs",
    "apply_review": "interface.runs",
    "benchmark_saros": "interface.runs",
    "benchmark_verse": "interface.runs",
    "card": "interface.cards",
    "compare": "interface.runs",
    "discover_cases": "interface.sets",
    "ensemble": "interface.sets",
    "evaluate": "interface.runs",
    "fit_reference": "interface.runs",
    "import_keras": "interface.sets",
    "list_models": "interface.cards",
    "load_models": "interface.models",
    "measure": "interface.runs",
    "prepare_from_review": "interface.sets",
    "prepare_nnunet": "interface.sets",
    "prepare_tag": "interface.sets",
    "prepare_saros": "interface.sets",
    "prepare_segmentation": "interface.sets",
    "prepare_slice_selection": "interface.sets",
    "prepare_totalsegmentator": "interface.sets",
    "prepare_verse": "interface.sets",
    "pull": "interface.runs",
    "read_scan": "reading.read_scan",
    "reader_agreement": "interface.runs",
    "remeasure": "interface.runs",
    "show": "interface.sets",
    "suggest": "interface.runs",
    "train_segmentation": "interface.sets",
    "train_slice_selection": "interface.sets",
    "validate": "interface.sets",
    "write_phantom": "interface.sets",
    "write_redcap": "interface.runs",
    "write_report": "interface.runs",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"bodycomp.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
