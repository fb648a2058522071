"""Which label of an annotation means which tissue: always said, never guessed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final, Self

from bodycomp.anatomy import ALL_TISSUES, BACKGROUND_LABEL, NOT_ANNOTATED_LABEL
from bodycomp.errors import SeriesError, UsageError

if TYPE_CHECKING:
    from bodycomp.imaging.label_map import LabelValues

IGNORED: Final = "ignore"
"""Takes the place of a tissue for labels that are known and not wanted: they become background."""

NOT_ANNOTATED: Final = "not_annotated"
"""Takes the place of a tissue for labels of pixels that nobody looked at: neither a tissue nor
background, ``NOT_ANNOTATED_LABEL`` in the training set."""


_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Structure:
    """One label of an annotation as its file states it.

    Attributes:
        value: The file's own number, whatever it is; None where the format has none.
        name: Name of the segment or region of interest; empty where the format has none.
    """

    value: int | None
    name: str = ""

    def __str__(self) -> str:
        number = "" if self.value is None else str(self.value)
        return f"{number} ({self.name})" if number and self.name else number or self.name


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """Label number or name -> label in the training set.

    That is a tissue's, 0 for ignored ones, or ``NOT_ANNOTATED_LABEL``.

    A number means the file's number, never a name that looks like it; only where a format has no
    numbers, as masks in files of their own, such a name counts. A name counts before the number
    beside it, without regard to case, blanks, hyphens, underscores, and the Unicode form of its
    accents.

    Attributes:
        labels: Numbers in decimal digits, names as their letters that count.
    """

    labels: Mapping[str, int]

    @classmethod
    def parse(cls, terms: Iterable[str]) -> Self:
        """Read terms such as ``1=muscle``, ``"Left psoas=muscle"`` or ``255=not_annotated``.

        Raises:
            UsageError: No equals sign, an unknown tissue, or one label with two meanings.
        """
        meanings = {tissue.key: tissue.label for tissue in ALL_TISSUES}
        meanings |= {IGNORED: BACKGROUND_LABEL, NOT_ANNOTATED: NOT_ANNOTATED_LABEL}
        labels: dict[str, int] = {}
        for term in terms:
            label, equals, meaning = term.rpartition("=")
            if not equals or not label.strip() or meaning.strip() not in meanings:
                raise UsageError(
                    f"expected LABEL=TISSUE, found {term!r}",
                    hint=f"Tissues are {', '.join(meanings)}; for instance 1=muscle.",
                )
            key = _number(label) or plain_key(label)
            if labels.setdefault(key, meanings[meaning.strip()]) != meanings[meaning.strip()]:
                raise UsageError(f"label {label.strip()!r} is given two meanings")
        return cls(labels)

    def check(self, structures: Sequence[Structure], where: str) -> None:
        """Check that every label has one meaning.

        Raises:
            SeriesError: A label that the mapping does not name (all of them are listed), two that
                it cannot keep apart, or a name that is another label's number.
        """
        unknown = [s for s in structures if self.find(s) is None]
        if unknown:
            known = ", ".join(self.labels) or "nothing"
            first = unknown[0]
            by_number = first.value is not None and _number(first.name) is not None
            term = first.value if by_number or not first.name else first.name
            raise SeriesError(
                f"{where}: expected labels among {known}, found "
                f"{', '.join(str(s) for s in unknown)}",
                hint=f"Say what each means, for instance {term}=muscle, or ={IGNORED}, or "
                f"={NOT_ANNOTATED} where nobody said what is there.",
            )
        for structure in structures:
            self._check_number(structure, where)
            self._check_not_annotated(structure, where)
        for one, other in combinations(dict.fromkeys(structures), 2):
            self._check_apart(one, other, where)

    @property
    def has_not_annotated(self) -> bool:
        """Whether some label means that a pixel was not annotated."""
        return NOT_ANNOTATED_LABEL in self.labels.values()

    def find(self, structure: Structure) -> int | None:
        """Return a structure's label in the training set, None if the mapping does not name it."""
        by_name = self.by_name(structure)
        if by_name is not None or structure.value is None:
            return by_name
        return self.labels.get(str(structure.value))

    def by_name(self, structure: Structure) -> int | None:
        """Return what a structure's name means, None if it means nothing by itself."""
        number = _number(structure.name)
        if number is None:
            return self.labels.get(plain_key(structure.name)) if structure.name.strip() else None
        is_own = structure.value is None or number == str(structure.value)
        return self.labels.get(number) if is_own else None

    def _check_number(self, structure: Structure, where: str) -> None:
        """Refuse a name that is a number with another meaning than the number beside it."""
        number = _number(structure.name)
        if structure.value is None or number is None or number not in self.labels:
            return
        if self.labels[number] != self.find(structure):
            raise SeriesError(
                f"{where}: expected {number} to be the number of a label, found that it is the "
                f"name of the label with the number {structure.value} as well",
                hint="Give the label a name that is no number, then map it by that.",
            )

    def _check_not_annotated(self, structure: Structure, where: str) -> None:
        """Refuse a label that is a tissue by its name and not annotated by its number.

        A mask in a file of its own may hold 0 and 255, and a map of one tissue 255 where nobody
        looked; in a file with no other label the two cannot be distinguished.
        """
        by_number = self.labels.get(str(structure.value))
        if by_number == NOT_ANNOTATED_LABEL and self.find(structure) != by_number:
            raise SeriesError(
                f"{where}: expected one meaning of the label {structure}, found that its number "
                f"{structure.value} means {NOT_ANNOTATED} and its name something else",
                hint=f"Write masks of one structure with 1, or leave out {structure.value}="
                f"{NOT_ANNOTATED}.",
            )

    def _check_apart(self, one: Structure, other: Structure, where: str) -> None:
        """Refuse two labels of one number that no name keeps apart, or of one name."""
        named = [self.by_name(each) is not None for each in (one, other)]
        same_number = one.value is not None and one.value == other.value and not all(named)
        same_name = one.name != other.name and _form(one.name) != _form(other.name)
        same_name = same_name and all(named) and plain_key(one.name) == plain_key(other.name)
        if same_number or same_name:
            what = f"number {one.value}" if same_number else "one name"
            raise SeriesError(
                f"{where}: expected labels that can be kept apart, found two of {what}: "
                f"{one} and {other}",
                hint="Map them by their names." if same_number else "Rename one of them.",
            )


def _number(label: str) -> str | None:
    """Return the number that a label is, in decimal digits, None for a name."""
    return str(int(label)) if _NUMBER.fullmatch(label.strip()) else None


def _form(name: str) -> str:
    """Return a name in one Unicode form: macOS keeps accents of file names apart (NFD)."""
    return unicodedata.normalize("NFC", name)


def plain_key(label: str) -> str:
    """Return the letters of a name that count; those of ``1-2`` are no number."""
    plain = _form(_form(label).casefold().strip())
    letters = "".join(c for c in plain if c not in " -_")
    return letters if _number(letters) is None else plain


Wanted = Callable[[Structure], bool]
"""Whether a structure with a name is worth reading."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Labels of an annotation that do not overlap.

    Attributes:
        labels: (slice, row, column) on the scan's grid, 0 for the background.
        structures: What every other value that occurs stands for. The values are the layer's own:
            numbers of a file may be negative, zero, or shared by several structures.
    """

    labels: LabelValues = field(repr=False)
    structures: Mapping[int, Structure]
    notes: tuple[str, ...] = ()


def everything(structure: Structure) -> bool:
    """Want every structure."""
    del structure
    return True
