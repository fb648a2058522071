"""Enhanced multi-frame CT (PS3.3 A.38): the attributes of every frame as if it were a file.

Attributes that all frames share stand in one sequence of functional groups, the others in one
with an item per frame (PS3.3 C.7.6.16.1.1); a frame's own win.
"""

from __future__ import annotations

from typing import Any, Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

ENHANCED_CT: Final = frozenset({EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})
SHARED: Final = "SharedFunctionalGroupsSequence"
PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
FUNCTIONAL_GROUPS: Final = (SHARED, PER_FRAME)

# Functional groups whose attributes have the names that single-frame CT gives them.
_GROUPS: Final = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
    "PixelValueTransformationSequence", "CTReconstructionSequence", "CTXRayDetailsSequence",
    "CTExposureSequence", "FrameContentSequence", "CTImageFrameTypeSequence",
    "FrameAnatomySequence", "CardiacSynchronizationSequence",
)  # fmt: skip
_RENAMED: Final = {
    "FrameType": "ImageType",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "ExposureInmAs": "Exposure",
}


def frame_datasets(dataset: Dataset) -> list[Dataset] | None:
    """Return a flat dataset for every frame, None for an object that is not enhanced CT."""
    if str(dataset.get("SOPClassUID", "")) not in ENHANCED_CT or not dataset.get(PER_FRAME):
        return None
    base = _without_groups(dataset)
    for item in dataset.get(SHARED) or ():
        _take_groups(base, item)
    frames = []
    for item in dataset[PER_FRAME].value:
        frame = Dataset()
        frame.update(base)
        _take_groups(frame, item)
        frames.append(frame)
    return frames


def _without_groups(dataset: Dataset) -> Dataset:
    base = Dataset()
    left_out = {tag_for_keyword(name) for name in FUNCTIONAL_GROUPS}
    base.update({tag: dataset.get_item(tag) for tag in dataset.keys() - left_out})
    return base


def _take_groups(flat: Dataset, groups: Dataset) -> None:
    """Lift the attributes of one item's functional groups to the top of ``flat``."""
    for name in _GROUPS:
        for item in groups.get(name) or ():
            for element in item:
                _take(flat, element.keyword, element.value)


def _take(flat: Dataset, keyword: str, value: Any) -> None:
    if keyword:
        setattr(flat, _RENAMED.get(keyword, keyword), value)
