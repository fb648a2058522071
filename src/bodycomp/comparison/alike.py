"""In what two scans of a person were made differently, and how much that alone can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bodycomp.comparison.published import EFFECTS, tissue_and_kind
from bodycomp.comparison.repeatability import INDEX_OF
from bodycomp.tables import Cell

NOT_KNOWN: Final = "How much that alone can do is not known: no article that could be read says it."
UNENHANCED: Final = "unenhanced"
AGENT: Final = "enhanced, phase not stated"
NOT_STATED: Final = "not stated"
PHASE: Final = "contrast_phase"
"""Cell of a scan that says its phase; ``phase_of`` makes it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which two scans differ, or may differ.

    Attributes:
        key: ``kvp``, ``contrast``, ``phase``, ``thickness``, ``kernel``, ``scanner``, ``models``,
            ``slices`` or ``height``.
        earlier, later: What each has, in words.
        is_certain: False where one or both do not say.
        effects: What was published of it, with the source, or that nothing is known.
    """

    key: str
    title: str
    earlier: str
    later: str
    is_certain: bool
    effects: tuple[str, ...]

    def __str__(self) -> str:
        verb = "differs" if self.is_certain else "may differ"
        return f"{self.title} {verb}: {self.earlier}, then {self.later}"


def phase_of(cells: Mapping[str, Cell], stated: str) -> str:
    """Return the contrast phase by the header (``stated``) and by the signs of agent in the image.

    >>> phase_of({"quality_flags": "contrast_agent"}, "unenhanced"), phase_of({}, "unenhanced")
    ('enhanced, phase not stated', 'unenhanced')
    """
    flags = str(cells.get("quality_flags") or "").split("; ")
    if "contrast_agent" in flags:
        return stated if stated not in ("", NOT_STATED, UNENHANCED) else AGENT
    return stated or NOT_STATED


def is_enhanced(phase: str) -> bool | None:
    """Whether a phase has agent, None where that is not stated."""
    return None if phase == NOT_STATED else phase != UNENHANCED


_TITLES: Final = {
    "kvp": "Tube voltage",
    "contrast": "Contrast agent",
    "phase": "Contrast phase",
    "thickness": "Slice thickness",
    "kernel": "Convolution kernel",
    "scanner": "Scanner",
    "models": "Model",
    "slices": "Number of slices measured",
    "height": "Height of the person",
}
_TEXTS: Final[Mapping[str, Callable[[Mapping[str, Cell]], str]]] = {
    "kvp": lambda cells: _number(cells.get("kvp"), "kVp"),
    "thickness": lambda cells: _number(cells.get("slice_thickness_mm"), "mm"),
    "kernel": lambda cells: str(cells.get("kernel") or NOT_STATED),
    "scanner": lambda cells: (
        " ".join(str(cells.get(n) or "") for n in ("manufacturer", "scanner_model")).strip()
        or NOT_STATED
    ),
    "models": lambda cells: (
        " + ".join(str(cells.get(f"{r}_model") or "") for r in ("slice_selection", "segmentation"))
        if cells.get("segmentation_model")
        else NOT_STATED
    ),
    "slices": lambda cells: "one" if cells.get("slices_measured") == 1 else "several",
    "height": lambda cells: _number(cells.get("height_m"), "m"),
}


def differences(earlier: Mapping[str, Cell], later: Mapping[str, Cell]) -> tuple[Difference, ...]:
    """Return every way in which the scans of two rows differ, or may differ."""
    return tuple(_found(earlier, later))


def _found(earlier: Mapping[str, Cell], later: Mapping[str, Cell]) -> Iterator[Difference]:
    for key, text in _TEXTS.items():
        if key == "thickness":
            yield from _phases(str(earlier.get(PHASE)), str(later.get(PHASE)))
        first, second = text(earlier), text(later)
        unknown = NOT_STATED in (first, second)
        if first != second or (unknown and key not in ("height", "scanner")):
            yield _difference(key, first, second, is_certain=not unknown)


def _phases(first: str, second: str) -> Iterator[Difference]:
    agents = is_enhanced(first), is_enhanced(second)
    if None in agents:
        yield _difference("contrast", first, second, is_certain=False)
    elif agents[0] != agents[1]:
        yield _difference("contrast", first, second, is_certain=True)
    elif AGENT in (first, second) or first != second:
        yield _difference("phase", first, second, is_certain=AGENT not in (first, second))


def _difference(key: str, first: str, second: str, *, is_certain: bool) -> Difference:
    by_source: dict[str, list[str]] = {}
    for each in EFFECTS:
        if each.difference == key:
            by_source.setdefault(each.source, []).append(each.words)
    said = tuple(
        f"{'; '.join(dict.fromkeys(words))} ({source})" for source, words in by_source.items()
    )
    if key == "height":
        said = ("An index changes with the square of the height, whatever the muscle does.",)
    title = _TITLES[key]
    return Difference(key, title, first, second, is_certain, said or (NOT_KNOWN,))


def effect_alone(
    quantity: str,
    difference: Difference,
    earlier: Mapping[str, Cell],
    later: Mapping[str, Cell],
) -> float | None:
    """Return how much a difference alone can do to a quantity, in its unit; None if unknown."""
    area = INDEX_OF.get(quantity)
    heights = earlier.get("height_m"), later.get("height_m")
    if area is not None:
        first, second = (float(each) if isinstance(each, int | float) else 0.0 for each in heights)
        value = earlier.get(area)
        if not (first and second and isinstance(value, int | float)):
            return None
        if difference.key == "height":
            return abs(float(value) * (1 / second**2 - 1 / first**2))
        alone = effect_alone(area, difference, earlier, later)
        return None if alone is None else alone / min(first, second) ** 2
    value = earlier.get(quantity)
    sizes = [
        each.size * (abs(float(value)) / 100 if each.is_percent else 1.0)
        for each in EFFECTS
        if each.difference == difference.key
        and (each.tissue, each.kind) == tissue_and_kind(quantity)
        and isinstance(value, int | float)
    ]
    return max(sizes, default=None)


def _number(cell: Cell, unit: str) -> str:
    return f"{cell:g} {unit}" if isinstance(cell, int | float) and cell else NOT_STATED
