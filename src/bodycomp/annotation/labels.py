"""Which label of an annotation means which tissue: always said, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from bodycomp.anatomy import ABDOMINAL_TISSUES, BACKGROUND_LABEL, NOT_ANNOTATED_LABEL
from bodycomp.errors import SeriesError, UsageError

IGNORED: Final = "ignore"
"""Takes the place of a tissue for labels that are known and not wanted: they become background."""

NOT_ANNOTATED: Final = "not_annotated"
"""Takes the place of a tissue for labels of pixels that nobody looked at: neither a tissue nor
background, ``NOT_ANNOTATED_LABEL`` in the training set."""


@dataclass(frozen=True, slots=True)
class Structure:
    """One label of an annotation as its file states it.

    Attributes:
        value: Number in a label map; for formats without numbers the order in the file, from 1.
        name: Name of the segment or region of interest; empty where the format has none.
    """

    value: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.value} ({self.name})" if self.name else str(self.value)


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """Label number or name -> label in the training set.

    That is a tissue's, 0 for ignored ones, or ``NOT_ANNOTATED_LABEL``. Names count without regard
    to case, blanks, hyphens and underscores.
    """

    labels: Mapping[str, int]

    @classmethod
    def parse(cls, terms: Iterable[str]) -> Self:
        """Read terms such as ``1=muscle``, ``"Left psoas=muscle"`` or ``255=not_annotated``.

        Raises:
            UsageError: No equals sign, an unknown tissue, or one label with two meanings.
        """
        meanings = {tissue.key: tissue.label for tissue in ABDOMINAL_TISSUES}
        meanings |= {IGNORED: BACKGROUND_LABEL, NOT_ANNOTATED: NOT_ANNOTATED_LABEL}
        labels: dict[str, int] = {}
        for term in terms:
            label, equals, meaning = term.rpartition("=")
            if not equals or not label.strip() or meaning.strip() not in meanings:
                raise UsageError(
                    f"expected LABEL=TISSUE, found {term!r}",
                    hint=f"Tissues are {', '.join(meanings)}; for instance 1=muscle.",
                )
            key = _key(label)
            if labels.setdefault(key, meanings[meaning.strip()]) != meanings[meaning.strip()]:
                raise UsageError(f"label {label.strip()!r} is given two meanings")
        return cls(labels)

    def values(self, structures: Sequence[Structure], where: str) -> dict[int, int]:
        """Return number in the annotation -> label in the training set.

        Args:
            structures: The labels that occur in the annotation, without the background.
            where: The annotation, for messages.

        Raises:
            SeriesError: A label that the mapping does not name; all of them are listed.
        """
        found = {s.value: self.find(s) for s in structures}
        unknown = [s for s in structures if found[s.value] is None]
        if unknown:
            known = ", ".join(self.labels) or "nothing"
            raise SeriesError(
                f"{where}: expected labels among {known}, found "
                f"{', '.join(str(s) for s in unknown)}",
                hint="Say what each means, for instance "
                f"{unknown[0].name or unknown[0].value}=muscle, or ={IGNORED}, or "
                f"={NOT_ANNOTATED} where nobody said what is there.",
            )
        return {value: label for value, label in found.items() if label is not None}

    @property
    def has_not_annotated(self) -> bool:
        """Whether some label means that a pixel was not annotated."""
        return NOT_ANNOTATED_LABEL in self.labels.values()

    def find(self, structure: Structure) -> int | None:
        """Return a structure's label in the training set, None if the mapping does not name it."""
        by_name = self.labels.get(_key(structure.name)) if structure.name else None
        return self.labels.get(str(structure.value)) if by_name is None else by_name


def _key(label: str) -> str:
    return "".join(c for c in label.casefold().strip() if c not in " -_")
