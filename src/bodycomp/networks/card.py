"""The model card: all that running a network needs to know beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, get_args

from bodycomp.anatomy import Tissue, is_model_order, tissue_by_key
from bodycomp.errors import ModelError, UsageError
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.json_file import from_plain, to_plain
from bodycomp.level_names import check_levels
from bodycomp.networks.area_intervals import AreaIntervals
from bodycomp.networks.card_description import ModelDescription, Task
from bodycomp.networks.confidence_calibration import ConfidenceCalibration
from bodycomp.networks.targets import check_scale_mm

__all__ = ["FORMAT_VERSION", "ModelCard", "Task"]

FORMAT_VERSION: Final = 1
"""Rises when a reader that does not know the change would run the model otherwise than it should.
Parts that may be missing, and that such a reader may ignore, leave it as it is."""

READING_VERSION: Final = 2
"""Format of the cards that say how labels or levels are read off the outputs, and of no others."""

MOST_COPIES: Final = 8

_ABOUT: Final = ("format_version", "training", "description")
"""Parts of a card that no result depends on."""

_REQUIRED: Final = ("format_version", "task", "architecture", "config", "preprocessing")


@dataclass(frozen=True)
class ModelCard:
    """What a model is for, how it is built and how its input is made.

    Attributes:
        architecture: One of the architecture names in ``names``.
        config: Keyword arguments of the architecture's config class.
        preprocessing: How HU become the network's input.
        tissues: Classes after background, in the order of their labels; segmentation only.
        levels: One per output, in order; slice selection only.
        hu_ranges: Whether a pixel may have a tissue's label only where its HU are in the tissue's
            ``hu_range``; segmentation only.
        copies: Copies of a slice, each moved by two pixels more, whose probabilities are averaged;
            segmentation only. A network that sees patches as pixels gains most by them.
        least_confidence: Confidence, 0..1, below which a level that was found is uncertain; slice
            selection only.
        target_scale_mm: Scale of ``targets.target_to_offset``; slice selection only.
        training: JSON-ready record of the training run; nothing at run time depends on it.
        confidence: Calibration of the positions' confidence on held-out series; None if it was
            never made. Slice selection only.
        area_intervals: Within which bounds true areas lie, by held-out cases; None if they were
            never made. Segmentation only.

    Raises:
        ModelError: The parts contradict one another.
    """

    task: Task
    architecture: str
    config: Mapping[str, Any]
    preprocessing: Preprocessing
    tissues: tuple[Tissue, ...] = ()
    levels: tuple[str, ...] = ()
    target_scale_mm: float | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    confidence: ConfidenceCalibration | None = None
    area_intervals: AreaIntervals | None = None
    description: ModelDescription = field(default_factory=ModelDescription)
    hu_ranges: bool = False
    copies: int = 1
    least_confidence: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ModelError(f"model card: unknown task {self.task!r}")
        if self.task == "segmentation":
            self._check_segmentation()
        else:
            self._check_slice_selection()

    def _check_segmentation(self) -> None:
        if not is_model_order(self.tissues):
            labels = tuple(tissue.label for tissue in self.tissues)
            raise ModelError(
                "model card: expected tissues with labels 1, 2, ..., or both fats, found labels "
                f"{labels}"
            )
        if not 1 <= self.copies <= MOST_COPIES:
            raise ModelError(
                f"model card: expected 1 to {MOST_COPIES} copies of a slice, found {self.copies}"
            )
        if self.levels or self.target_scale_mm is not None:
            raise ModelError("model card: a segmentation model has no levels and no target scale")
        unknown = set(self.area_intervals.tissues if self.area_intervals else ()) - {
            tissue.key for tissue in self.tissues
        }
        if unknown:
            raise ModelError(
                f"model card: expected intervals of {', '.join(t.key for t in self.tissues)}, "
                f"found one of {', '.join(sorted(unknown))}"
            )
        if self.confidence is not None or self.least_confidence != 0:
            raise ModelError("model card: a segmentation model has no positions to be sure of")

    def _check_slice_selection(self) -> None:
        if self.tissues or self.hu_ranges or self.copies > 1:
            raise ModelError("model card: a slice-selection model has no tissues")
        if self.area_intervals is not None:
            raise ModelError("model card: a slice-selection model measures no areas")
        if not 0 <= self.least_confidence < 1:
            raise ModelError(
                f"model card: expected a least confidence in 0..1, found {self.least_confidence}"
            )
        if self.target_scale_mm is None:
            raise ModelError("model card: a slice-selection model needs target_scale_mm")
        try:
            check_levels(self.levels)
            check_scale_mm(self.target_scale_mm)
        except UsageError as error:
            raise ModelError(f"model card: {error.message}", hint=error.hint) from error
        unknown = set(self.confidence.levels if self.confidence else ()) - set(self.levels)
        if unknown:
            raise ModelError(
                f"model card: expected calibrations of {', '.join(self.levels)}, "
                f"found one of {', '.join(sorted(unknown))}"
            )

    @property
    def _says_how_to_read(self) -> bool:
        return self.hu_ranges or self.copies > 1 or self.least_confidence > 0

    @property
    def num_outputs(self) -> int:
        """Channels that the network must have: classes with background, or levels."""
        return self.tissues[-1].label + 1 if self.task == "segmentation" else len(self.levels)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        version = READING_VERSION if self._says_how_to_read else FORMAT_VERSION
        plain: dict[str, Any] = to_plain(self) | {"tissues": [t.key for t in self.tissues]}
        if not self._says_how_to_read:  # older versions read it then
            del plain["hu_ranges"], plain["copies"], plain["least_confidence"]
        if self.area_intervals is None:  # a card without them is as it was before there were any
            del plain["area_intervals"]
        return {"format_version": version} | plain

    def essence(self) -> dict[str, Any]:
        """Return the part of ``to_dict`` that results depend on."""
        essence = {key: value for key, value in self.to_dict().items() if key not in _ABOUT}
        if self.confidence is not None:
            essence["confidence"] = essence["confidence"]["levels"]
        if self.area_intervals is not None:
            essence["area_intervals"] = essence["area_intervals"] | {"source": ""}
        return essence

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``.

        Raises:
            ModelError: A key is missing, a value has the wrong type, or the parts contradict.
        """
        for key in _REQUIRED:
            if key not in description:
                raise ModelError(f"model card: {key!r} is missing")
        hu_ranges, copies = bool(description.get("hu_ranges")), description.get("copies", 1)
        read_so = hu_ranges or copies != 1 or bool(description.get("least_confidence"))
        expected = READING_VERSION if read_so else FORMAT_VERSION
        if description["format_version"] != expected:
            raise ModelError(
                f"expected a model card of format {expected}, "
                f"found {description['format_version']!r}",
                hint="The model was written by another version of bodycomp: use that version.",
            )
        try:
            config = description["config"].items()
            found: Self = from_plain(
                cls,
                {
                    **description,
                    "config": {key: _unlisted(value) for key, value in config},
                    "preprocessing": Preprocessing.from_dict(description["preprocessing"]),
                    "tissues": tuple(map(tissue_by_key, description.get("tissues", ()))),
                    "description": ModelDescription.from_dict(description.get("description") or {}),
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
            raise ModelError(f"model card: a value cannot be read ({error})") from error
        return found


def _unlisted(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
