# What type checkers see of the names that are looked up when they are first used.

from bodycomp.errors import BodycompError
from bodycomp.interface.annotated import evaluate, prepare_segmentation, prepare_slice_selection
from bodycomp.interface.mask import measure
from bodycomp.interface.models import Models, load_models
from bodycomp.interface.runs import (
    analyze,
    train_segmentation,
    train_slice_selection,
    validate,
)
from bodycomp.reading.read_scan import read_scan
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan

__version__: str

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
