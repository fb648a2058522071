"""Examples of a segmentation training: what was asked, what was right, what the network said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL, Tissue
from bodycomp.report.canvas import ALERT, INK, new_figure, picture_style, save_figure
from bodycomp.report.overlay import UNKNOWN_COLOUR, colour_mask, hex_colour

DIFFERENCES: Final = {"Missed": "#1f6fff", "Added": ALERT, "Another tissue": "#ff4fd8"}
"""What a pixel can have wrong, and its colour."""

BODY_GREY: Final = 0.05
"""Greys of 0..1 above this are not air; the table's thin lines may count."""

MARGIN: Final = 6


@dataclass(frozen=True, eq=False)
class SegmentationCase:
    """One slice with its true and its predicted mask.

    Attributes:
        title: Which case it is, e.g. "best" or "worst"; nothing identifying.
        image: (row, column), windowed to 0..1.
        truth, prediction: (row, column) labels; the truth may be ``NOT_ANNOTATED_LABEL``, which is
            drawn in grey and takes no part in differences and areas.
        dice: Tissue key -> Dice overlap, None where neither mask has the tissue.
    """

    title: str
    image: NDArray[np.floating]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    dice: Mapping[str, float | None] = field(default_factory=dict)


def write_segmentation_examples(
    path: Path,
    cases: Sequence[SegmentationCase],
    tissues: Sequence[Tissue] = ABDOMINAL_TISSUES,
) -> None:
    """Write one row per case: image, truth, prediction, and in what both differ.

    Args:
        path: The PNG file.
        cases: In the order of the rows, at least one.
        tissues: Tissues that the masks may hold.
    """
    figure = new_figure(11.2, 2.6 * len(cases) + 0.4, constrained=True)
    grid = figure.subplots(len(cases), 4, squeeze=False)
    for row, case in zip(grid, cases, strict=True):
        rows, columns = body_window(case)
        truth, prediction = case.truth[rows, columns], case.prediction[rows, columns]
        pictures = (
            (case.title, None),
            ("truth", colour_mask(truth, tissues)),
            ("prediction", colour_mask(prediction, tissues)),
            ("difference", _difference(truth, prediction)),
        )
        for axes, (title, overlay) in zip(row, pictures, strict=True):
            draw_image(axes, case.image[rows, columns], overlay)
            picture_style(axes, title)
        row[2].set_xlabel(_dice_words(case, tissues), size=7.5, color=INK)
        row[3].set_xlabel(_area_words(truth, prediction, tissues), size=7.5, color=INK)
    legend = [Patch(color=hex_colour(tissue.colour), label=tissue.title) for tissue in tissues]
    if any((case.truth == NOT_ANNOTATED_LABEL).any() for case in cases):
        legend.append(Patch(color=hex_colour(UNKNOWN_COLOUR), label="Not annotated"))
    legend += [Patch(color=colour, label=label) for label, colour in DIFFERENCES.items()]
    figure.legend(
        handles=legend, loc="outside lower left", ncols=len(legend), fontsize=8, frameon=False
    )
    save_figure(figure, path)


def body_window(case: SegmentationCase) -> tuple[slice, slice]:
    """Return the rows and columns that show the body: everything but air, with a margin."""
    drawn = (case.truth > 0) & (case.truth != NOT_ANNOTATED_LABEL)
    inside = (case.image > BODY_GREY) | drawn | (case.prediction > 0)
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(inside.any(axis=axis))
        size = inside.shape[1 - axis]
        low, high = (found[0], found[-1] + 1) if found.size else (0, size)
        spans.append(slice(max(0, int(low) - MARGIN), min(size, int(high) + MARGIN)))
    return spans[0], spans[1]


def draw_image(axes: Axes, image: NDArray[np.floating], overlay: NDArray[np.uint8] | None) -> None:
    """Draw a slice, windowed to 0..1, with RGBA on it."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    if overlay is not None:
        axes.imshow(overlay, interpolation="nearest")


def _difference(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA in the colours of ``DIFFERENCES``."""
    known = truth != NOT_ANNOTATED_LABEL
    kinds = (
        known & (truth > 0) & (prediction == 0),
        (truth == 0) & (prediction > 0),
        known & (truth > 0) & (prediction > 0) & (truth != prediction),
    )
    wrong = np.zeros((*truth.shape, 4), dtype=np.uint8)
    for is_kind, colour in zip(kinds, DIFFERENCES.values(), strict=True):
        wrong[is_kind] = (*bytes.fromhex(colour[1:]), 255)
    return wrong


def _area_words(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], tissues: Sequence[Tissue]
) -> str:
    """Say how far areas are off, which is what measurements are made of; whole slices alone."""
    parts: list[str] = []
    if (truth == NOT_ANNOTATED_LABEL).any():
        return "Area: not annotated everywhere"
    for tissue in tissues:
        real, found = (int((mask == tissue.label).sum()) for mask in (truth, prediction))
        if real:
            parts.append(f"{tissue.title.lower()} {100 * (found - real) / real:+.1f} %")
    return "Area: " + _in_lines(parts) if parts else ""


def _dice_words(case: SegmentationCase, tissues: Sequence[Tissue]) -> str:
    parts = [
        f"{tissue.title.lower()} {'–' if value is None else f'{value:.3f}'}"
        for tissue in tissues
        if (value := case.dice.get(tissue.key)) is not None or tissue.key in case.dice
    ]
    return "Dice: " + _in_lines(parts) if parts else ""


def _in_lines(parts: Sequence[str]) -> str:
    """Join a tissue per picture's width: the first one beside the title, the others below."""
    return "\n".join(filter(None, (parts[0], ", ".join(parts[1:]))))
