"""What a page shows of a training set, the same for both kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, NOT_ANNOTATED_LABEL, Tissue
from bodycomp.data.manifest import Manifest
from bodycomp.data.png import read_gray_png
from bodycomp.data.segmentation_set import SegmentationSplit, open_segmentation_split
from bodycomp.data.slice_set import SliceSplit, open_slice_split
from bodycomp.errors import BodycompError
from bodycomp.imaging.resize import resize_gray
from bodycomp.imaging.window import SOFT_TISSUE
from bodycomp.report.histogram import Histogram
from bodycomp.report.overlay import UNKNOWN_COLOR
from bodycomp.report.page import photo_uri, stencil_uri
from bodycomp.report.sample_choice import Suspicion, unusual
from bodycomp.validation.validate import Validation, levels_of

MM2_PER_CM2: Final = 100
PERCENT: Final = 100
SPACING_COLUMNS: Final = {"row_spacing_mm", "column_spacing_mm"}

LARGEST_SIDE: Final = 512
LADDER_SIDE: Final = 128
NOT_ANNOTATED: Final = "not_annotated"

Facts = Mapping[str, NDArray[np.void]]
"""Split -> what validation gathered of each sample."""


@dataclass(frozen=True, slots=True)
class SamplePicture:
    """A slice in the soft-tissue window, and a mask of each tissue on it, as data URIs."""

    photo: Markup
    stencils: tuple[tuple[str, Markup], ...] = ()


class TrainingSetView(ABC):
    """Numbers and pictures of a training set.

    Attributes:
        noun: What one sample is called.
        sizes: Split -> number of samples, for the splits that can be shown.
        patients: Split -> patient of each sample, where that is known.
    """

    noun: str
    sizes: dict[str, int]
    patients: dict[str, Sequence[str]]
    tissues: tuple[Tissue, ...] = ()
    has_not_annotated: bool = False

    @abstractmethod
    def charts(self) -> list[Histogram]:
        """Return the distributions worth looking at."""

    @abstractmethod
    def lines(self, split: str, index: int) -> list[str]:
        """Say in a few lines what is known of one sample."""

    @abstractmethod
    def picture(self, split: str, index: int) -> SamplePicture | None:
        """Draw one sample; None if it cannot be read."""

    def suspicions(self) -> list[Suspicion]:
        """Return samples whose numbers are unlike those of the others."""
        return [
            suspicion
            for chart in self.charts()
            for suspicion in unusual(chart.title.lower(), chart.groups)
        ]


class SegmentationView(TrainingSetView):
    """A segmentation set; without a manifest that has pixel sizes areas are in % of the image."""

    noun = "slices with masks"

    def __init__(self, validation: Validation, manifest: Manifest | None) -> None:
        self._facts: Facts = validation.facts
        self._splits: dict[str, SegmentationSplit] = {}
        for name in self._facts:
            opened = open_segmentation_split(validation.data_dir, name)
            if opened is not None:
                self._splits[name] = opened
        self.sizes = {name: len(split) for name, split in self._splits.items()}
        self.patients = manifest_patients(manifest, self.sizes)
        self.tissues = tuple(
            tissue
            for tissue in ABDOMINAL_TISSUES
            if any(of["pixels"][:, tissue.label - 1].any() for of in self._facts.values())
        )
        self.has_not_annotated = any(
            of["unknown_pixels"].all(axis=1).any() for of in self._facts.values()
        )
        scales = _pixel_areas_cm2(self._facts, manifest)
        self._unit = "cm²" if scales else "% of the image"
        self._scales = scales or {
            split: np.full(len(of), PERCENT / 512**2) for split, of in self._facts.items()
        }

    def charts(self) -> list[Histogram]:
        """Return the area and the mean attenuation of every tissue that occurs."""
        areas = [
            Histogram(
                f"{tissue.title} area",
                self._unit,
                {split: self._areas(split, tissue) for split in self._facts},
            )
            for tissue in self.tissues
        ]
        attenuations = [
            Histogram(
                f"{tissue.title} mean attenuation",
                "HU",
                {split: of["mean_hu"][:, tissue.label - 1] for split, of in self._facts.items()},
                tissue.hu_range,
            )
            for tissue in self.tissues
        ]
        return areas + attenuations

    def lines(self, split: str, index: int) -> list[str]:
        """Give the area and the mean attenuation of every tissue."""
        lines = []
        for tissue in self.tissues:
            area = self._areas(split, tissue)[index]
            mean_hu = self._facts[split]["mean_hu"][index, tissue.label - 1]
            unit = self._unit.partition(" of")[0]
            known = [f"{area:.3g} {unit}"] if np.isfinite(area) else []
            known += [f"{mean_hu:.0f} HU"] if np.isfinite(mean_hu) else []
            if known:
                lines.append(f"{tissue.title} {', '.join(known)}")
        unknown = self._facts[split]["unknown_pixels"][index]
        unlabeled = [
            tissue.title.lower()
            for tissue in ABDOMINAL_TISSUES
            if unknown[tissue.label - 1] > unknown.min()
        ]
        if unlabeled:
            lines.append(f"Not labeled: {', '.join(unlabeled)}")
        if unknown.all():
            lines.append("Not annotated everywhere: no areas")
        return lines

    def picture(self, split: str, index: int) -> SamplePicture | None:
        """Draw the slice and the mask of each tissue."""
        opened = self._splits[split]
        labels = opened.masks[index, :, :, 0]
        shown = [(tissue.key, tissue.label, tissue.color) for tissue in ABDOMINAL_TISSUES]
        shown.append((NOT_ANNOTATED, NOT_ANNOTATED_LABEL, UNKNOWN_COLOR))
        return SamplePicture(
            photo=photo_uri(SOFT_TISSUE.to_gray(opened.images[index, :, :, 0])),
            stencils=tuple(
                (key, stencil_uri(labels == label, color))
                for key, label, color in shown
                if (labels == label).any()
            ),
        )

    def _areas(self, split: str, tissue: Tissue) -> NDArray[np.float64]:
        """Return the area in every sample, NaN where nobody said where all of the tissue is."""
        facts = self._facts[split]
        areas: NDArray[np.float64] = facts["pixels"][:, tissue.label - 1] * self._scales[split]
        return np.where(facts["unknown_pixels"][:, tissue.label - 1] > 0, np.nan, areas)


class SliceView(TrainingSetView):
    """A slice-selection set, shown for ``levels`` or else for those that it is annotated for."""

    noun = "slices with offsets"

    def __init__(
        self, validation: Validation, manifest: Manifest | None, levels: tuple[str, ...] | None
    ) -> None:
        self.levels = levels or levels_of(validation.data_dir)
        self.splits: dict[str, SliceSplit] = {}
        for name in validation.facts:
            opened = open_slice_split(validation.data_dir, name, self.levels)
            if opened is not None:
                self.splits[name] = opened
        self.sizes = {name: len(split) for name, split in self.splits.items()}
        self.patients = manifest_patients(manifest, self.sizes) or {
            name: split.patient for name, split in self.splits.items() if split.patient
        }

    def charts(self) -> list[Histogram]:
        """Return the offsets from every level."""
        return [
            Histogram(
                f"Offset from {level}",
                "mm, positive towards the head",
                {name: split.offsets_mm[:, column] for name, split in self.splits.items()},
            )
            for column, level in enumerate(self.levels)
        ]

    def lines(self, split: str, index: int) -> list[str]:
        """Say how far the slice lies from every level that is annotated."""
        offsets = zip(self.levels, self.splits[split].offsets_mm[index], strict=True)
        known = [f"{level} {offset:+.1f} mm" for level, offset in offsets if np.isfinite(offset)]
        return [", ".join(known) or "no level annotated"]

    def picture(self, split: str, index: int) -> SamplePicture | None:
        """Draw the slice."""
        return slice_picture(self.splits[split], index)


def slice_picture(split: SliceSplit, index: int, side: int = LARGEST_SIDE) -> SamplePicture | None:
    """Draw one slice, made smaller if a side is longer than ``side``; None if it is unreadable."""
    try:
        gray = read_gray_png(split.png_path(index))
    except BodycompError:
        return None  # an issue says why
    return SamplePicture(photo_uri(_shrunk(gray, side)))


def _shrunk(gray: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = side / max(gray.shape)
    if factor >= 1:
        return gray
    rows, columns = (max(1, round(n * factor)) for n in gray.shape)
    return resize_gray(gray, (rows, columns))


def manifest_patients(
    manifest: Manifest | None, sizes: Mapping[str, int]
) -> dict[str, Sequence[str]]:
    """Return split -> patient of each sample; empty unless the manifest tells all of them."""
    if manifest is None:
        return {}
    patients = {split: manifest.of(split).texts("patient") for split in sizes}
    agree = all(len(patients[split]) == size for split, size in sizes.items())
    return dict(patients) if agree else {}


def _pixel_areas_cm2(facts: Facts, manifest: Manifest | None) -> dict[str, NDArray[np.float64]]:
    """Return the area of a pixel of each sample; empty unless the manifest tells it for all."""
    if manifest is None or not set(manifest.columns) >= SPACING_COLUMNS:
        return {}
    scales = {}
    for split, of in facts.items():
        rows = manifest.of(split)
        area_mm2 = rows.numbers("row_spacing_mm") * rows.numbers("column_spacing_mm")
        if len(area_mm2) != len(of) or not np.isfinite(area_mm2).all():
            return {}
        scales[split] = area_mm2 / MM2_PER_CM2
    return scales
