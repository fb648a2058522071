"""Tissues by region and HU: rules such as ``muscle = region 2 within -29..150``, as values.

Maps of regions are drawn larger than the tissues: a muscle's region holds the fat within it, the
abdominal cavity its organs. Rules cut them to the HU of a tissue, and say which parts of the body
are left out and which labels mean that nobody looked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.errors import UsageError

Range = tuple[int, int]
"""First and last, both included."""

_NUMBER: Final = r"[+-]?\d{1,9}"
_SELECTION: Final = re.compile(
    rf"(?P<mask>[A-Za-z_][\w-]*)(?P<labels>(\s+\d{{1,9}}(\.\.\d{{1,9}})?)+)"
    rf"(\s+within\s+(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(\s*HU)?)?",
    re.IGNORECASE,
)
_TISSUES: Final = tuple(tissue.key for tissue in ABDOMINAL_TISSUES)
_LISTS: Final = ("left_out", "not_annotated", "ignore")
KEYS: Final = ("masks", *_TISSUES, *_LISTS, "needed")


@dataclass(frozen=True, slots=True)
class Selection:
    """Pixels with one of some labels of a mask, and with HU in a range if there is one.

    Attributes:
        mask: Name of the mask in the rules.
        labels: Ranges of its numbers.
        hu: Lowest and highest HU, both included; None for any.
    """

    mask: str
    labels: tuple[Range, ...]
    hu: Range | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a term of a rule.

        >>> Selection.parse("region 2 within -29..150")
        Selection(mask='region', labels=((2, 2),), hu=(-29, 150))
        >>> Selection.parse("part 3..6").labels
        ((3, 6),)

        Raises:
            UsageError: It has another form, or a range that ends before it begins.
        """
        found = _SELECTION.fullmatch(text.strip())
        if found is None:
            raise UsageError(
                f"expected a mask, its labels and perhaps HU, found {text!r}",
                hint="For instance: region 2 within -29..150, or part 3..6.",
            )
        labels = tuple(_range(part, text) for part in found["labels"].split())
        hu = _range(f"{found['low']}..{found['high']}", text) if found["low"] else None
        return cls(found["mask"].lower(), labels, hu)


def _range(text: str, whole: str) -> Range:
    first, _, last = text.partition("..")
    low, high = int(first), int(last or first)
    if low > high:
        raise UsageError(f"expected a range from low to high, found {text} in {whole!r}")
    return low, high


Selections = tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class TissueRules:
    """What every pixel is, by the labels of one or more masks and by HU.

    Attributes:
        masks: Name of a mask in the rules -> name of its file without suffix, which may hold ``*``;
            case, blanks, hyphens and underscores do not count.
        tissues: Key of a tissue -> its pixels. All tissues of the rules; others are not annotated
            by them.
        left_out: Pixels that are background whatever else is said of them, such as the arms.
        not_annotated: Pixels of which nobody said what they are.
        ignore: Labels that are known and by themselves mean neither.
        needed: Masks without which a slice is not annotated: those of the tissues unless stated.
    """

    masks: Mapping[str, str]
    tissues: Mapping[str, Selections]
    left_out: Selections = ()
    not_annotated: Selections = ()
    ignore: Selections = ()
    needed: tuple[str, ...] = ()

    @classmethod
    def parse(cls, content: object) -> Self:
        """Read rules from keys and values of text, as YAML without types has them.

        Raises:
            UsageError: An unknown key, no mask, no tissue, a mask that is not named, one label with
                two meanings, or a term of another form.
        """
        if not isinstance(content, Mapping):
            raise UsageError("expected keys such as masks and muscle, found none", hint=_FORM)
        unknown = [str(key) for key in content if key not in KEYS]
        if unknown:
            raise UsageError(
                f"expected keys among {', '.join(KEYS)}, found {', '.join(unknown)}", hint=_FORM
            )
        masks = content.get("masks")
        if not isinstance(masks, Mapping) or not masks:
            raise UsageError("masks: expected a name for every mask, found none", hint=_FORM)
        found = {key: _selections(key, content[key]) for key in KEYS[1:-1] if key in content}
        rules = cls(
            masks={str(name).lower(): str(file) for name, file in masks.items()},
            tissues={key: found[key] for key in _TISSUES if key in found},
            **{key: found.get(key, ()) for key in _LISTS},
            needed=tuple(name.lower() for name in _texts("needed", content.get("needed", []))),
        )
        return rules._checked()

    def _checked(self) -> Self:
        if not self.tissues:
            raise UsageError(
                f"expected a rule of {', '.join(_TISSUES)}, found none of any tissue", hint=_FORM
            )
        named = dict.fromkeys((*(s.mask for s in self.selections), *self.needed))
        unknown = [name for name in named if name not in self.masks]
        if unknown:
            raise UsageError(
                f"expected masks among {', '.join(self.masks)}, found {', '.join(unknown)}",
                hint="Name the file of every mask under masks.",
            )
        for one in self.not_annotated:
            self._check_not_annotated(one)
        return self

    def _check_not_annotated(self, one: Selection) -> None:
        if one.hu is not None:
            raise UsageError(f"not_annotated: expected labels of {one.mask} alone, found HU")
        others = (
            s for group in (*self.tissues.values(), self.left_out, self.ignore) for s in group
        )
        for other in others:
            if other.mask == one.mask and _overlap(one.labels, other.labels):
                raise UsageError(
                    f"expected one meaning of each label of {one.mask}, found one that is named "
                    "under not_annotated as well"
                )

    @property
    def selections(self) -> Selections:
        """All terms of all rules."""
        groups = (*self.tissues.values(), self.left_out, self.not_annotated, self.ignore)
        return tuple(selection for group in groups for selection in group)

    @property
    def needed_masks(self) -> tuple[str, ...]:
        """Masks without which a slice is not annotated."""
        of_tissues = (s.mask for group in self.tissues.values() for s in group)
        return self.needed or tuple(dict.fromkeys(of_tissues))


_FORM: Final = (
    "For instance, with a line for each: 'masks: {region: body-regions}', "
    "'muscle: region 2 within -29..150', 'not_annotated: region 255', 'ignore: region 1 3..13'."
)


def _texts(key: str, value: object) -> Sequence[str]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise UsageError(f"{key}: expected text or a list of it, found {value!r}", hint=_FORM)
    return [str(item) for item in items]


def _selections(key: str, value: Any) -> Selections:
    try:
        return tuple(Selection.parse(text) for text in _texts(key, value))
    except UsageError as error:
        raise UsageError(f"{key}: {error.message}", hint=error.hint) from error


def _overlap(some: Iterable[Range], others: Iterable[Range]) -> bool:
    return any(low <= last and first <= high for low, high in some for first, last in tuple(others))
