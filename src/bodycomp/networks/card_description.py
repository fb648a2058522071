"""What a reader needs to evaluate a model: words, data and numbers; no result depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, Self

from bodycomp.errors import UsageError
from bodycomp.json_file import from_plain

Task = Literal["segmentation", "slice_selection"]

NOTICE: Final = "For research only, not a medical device."


@dataclass(frozen=True, slots=True)
class ModelWords:
    """The part of a card that is written by people; empty where nothing was said.

    Attributes:
        out_of_scope: What it is not for, one entry each.
        training_data: Where the training data are from: people, scanners, who annotated them, how.
        known_failures: Where it fails, one entry each.
        caution: What every result made with the model shall say.
    """

    name: str = ""
    intended_use: str = ""
    intended_users: str = ""
    out_of_scope: tuple[str, ...] = ()
    training_data: str = ""
    known_failures: tuple[str, ...] = ()
    licence: str = ""
    caution: str = ""
    contact: str = ""
    citation: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from JSON, or take what a person wrote; unknown keys are refused.

        Raises:
            UsageError: A key is unknown, or a value is neither text nor a list of texts.
        """
        unknown = sorted(set(values) - set(WORD_KEYS), key=str)
        if unknown:
            raise UsageError(
                f"expected words about a model, found the key {unknown[0]!r}",
                hint=f"Known are {', '.join(WORD_KEYS)}.",
            )
        checked: dict[str, Any] = {key: _checked(key, value) for key, value in values.items()}
        return cls(**checked)

    def overlaid(self, given: ModelWords) -> ModelWords:
        """Return these words with those of ``given`` in their place where it has any.

        Lists grow: what is true of every model of a kind stays true of this one.
        """
        changes: dict[str, Any] = {}
        for key in WORD_KEYS:
            value = getattr(given, key)
            if key in LIST_KEYS:
                value = tuple(dict.fromkeys((*getattr(self, key), *value)))
            if value:
                changes[key] = value
        return replace(self, **changes)


WORD_KEYS: Final = tuple(item.name for item in fields(ModelWords))
LIST_KEYS: Final = ("out_of_scope", "known_failures")


def _checked(key: str, value: object) -> str | tuple[str, ...]:
    if key in LIST_KEYS:
        entries = [value] if isinstance(value, str) else value
        if isinstance(entries, (list, tuple)) and all(isinstance(entry, str) for entry in entries):
            return tuple(entry.strip() for entry in entries if entry.strip())
        raise UsageError(f"expected a list of texts as {key}, found {value!r}")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(
            f"expected text as {key}, found {value!r}", hint="Put it between quotation marks."
        )
    return value.strip()


@dataclass(frozen=True, slots=True)
class Metric:
    """One number.

    Attributes:
        name: What was measured, words separated by `` / `` from the general to the particular,
            such as ``muscle / dice``.
        low, high: Interval; None where there is none.
        unit: UCUM, ``1`` for shares; empty if unknown.
        cases: Number of slices or series that it is made of; None if unknown.
        patients: Number of their patients; None if unknown.
        reason: Why there is no value or no interval; empty if there are both.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    cases: int | None = None
    patients: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Numbers that were measured together.

    Attributes:
        key: Measurements of the same key replace one another: ``validation``, ``test``,
            ``evaluation/<section>``.
        data_digest: Of the data; empty if unknown.
        made_at: When, ISO 8601; empty if unknown.
    """

    key: str
    title: str
    source: str
    metrics: tuple[Metric, ...]
    data_digest: str = ""
    made_at: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SplitSize:
    """How much one split of a training set holds; None where the set does not tell."""

    slices: int
    series: int | None = None
    patients: int | None = None


@dataclass(frozen=True)
class TrainingData:
    """The training set as far as its files tell.

    Attributes:
        digest: SHA-256 over its contents, hexadecimal.
    """

    digest: str = ""
    splits: Mapping[str, SplitSize] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelDescription:
    """Words, data and numbers about a model.

    Attributes:
        data: What it was trained on; None if unknown.
        software: Package -> version that it was trained with; empty if unknown.
    """

    words: ModelWords = field(default_factory=ModelWords)
    data: TrainingData | None = None
    metrics: tuple[MetricTable, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)

    def with_words(self, given: ModelWords) -> ModelDescription:
        """Return the description with more words; see ``ModelWords.overlaid``."""
        return replace(self, words=self.words.overlaid(given))

    def with_metrics(self, tables: Iterable[MetricTable]) -> ModelDescription:
        """Return the description with tables added, in place of those of the same key."""
        kept = {table.key: table for table in self.metrics}
        for table in tables:
            kept.pop(table.key, None)
            kept[table.key] = table
        return replace(self, metrics=tuple(kept.values()))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from JSON."""
        words = ModelWords.from_dict(values.get("words", {}))
        found: Self = from_plain(cls, {**values, "words": words})
        return found


_USERS: Final = "Researchers who can read CT images, and look at the results before they use them."
_NOT_FOR: Final = (
    "Diagnosis, treatment or any other decision about a person: it is not a medical device.",
    "People, body regions, scanners and protocols that the training data do not hold.",
    "Anything but axial CT in Hounsfield units: MR, PET, projections, images already windowed.",
)

KIND_WORDS: Final[Mapping[Task, ModelWords]] = {
    "segmentation": ModelWords(
        intended_use="Research on body composition: labels tissues on axial CT slices at the "
        "levels that it was trained on, so that areas and attenuation can be measured.",
        intended_users=_USERS,
        out_of_scope=_NOT_FOR,
        known_failures=(
            "It gives a segmentation for any slice, also for one that it was never meant for.",
            "Arms, table or clothing that touch the trunk may be labelled as tissue of it.",
            "What lies outside the field of view is missing; areas are then too small.",
            "Metal, noise, thick slices, edema and ascites move contours.",
        ),
    ),
    "slice_selection": ModelWords(
        intended_use="Research on body composition: finds the slice at a level, such as that of a "
        "vertebra, in an axial CT series of the trunk, so that tissues can be measured there.",
        intended_users=_USERS,
        out_of_scope=_NOT_FOR,
        known_failures=(
            "It counts no vertebrae: with four or six lumbar ones it may be a level off.",
            "It can be wrong in good order, with a curve of scores as clean as a right one.",
            "Confidence means what it says only for scans like those that it was calibrated on.",
            "Scoliosis, fractures, implants and levels near an end of the series are harder.",
        ),
    ),
}
"""What is true of every model of a kind."""

UNKNOWN_DATA: Final = (
    "Unknown: the file that this model was imported from does not say what it was trained on."
)
