"""How a sample, a slice or a row is called in findings, the same everywhere."""

from __future__ import annotations

from bodycomp.data.findings import Place
from bodycomp.data.naming import png_name


def sample_place(split: str, index: int, what: str = "images") -> Place:
    """Return the place of a segmentation sample; ``what`` is ``images`` or ``masks``."""
    return Place(f"{split}_{what}.npy, sample {index}", split, index)


def slice_place(split: str, index: int) -> Place:
    """Return the place of a PNG slice."""
    return Place(f"images/{split}/{png_name(index)}", split, index)


def row_place(split: str, row: int, column: str = "") -> Place:
    """Return the place of a row of the table, or of a cell if a column is named."""
    cell = f", column {column}" if column else ""
    return Place(f"{table_name(split)}, row {row} (slice {row:06d}){cell}", split, row)


def table_place(split: str) -> Place:
    """Return the place of a whole table."""
    return Place(table_name(split), split)


def images_place(split: str) -> Place:
    """Return the place of a segmentation split's images as a whole."""
    return Place(f"{split}_images.npy", split)


def table_name(split: str) -> str:
    """Return the name of a split's table relative to the training set."""
    return f"meta/{split}.csv"
