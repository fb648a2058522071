"""What a reader needs to judge a model; nothing of it changes a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from bodycomp.networks.card_metrics import MetricTable
from bodycomp.networks.card_words import ModelWords


@dataclass(frozen=True, slots=True)
class SplitSize:
    """How much one split of a training set holds; None where the set does not tell.

    Attributes:
        slices: Samples.
        series: Scans that they are from.
        patients: People that they are from.
    """

    slices: int
    series: int | None = None
    patients: int | None = None


@dataclass(frozen=True)
class TrainingData:
    """The training set as far as its files tell.

    Attributes:
        digest: SHA-256 over its contents, hexadecimal.
        splits: Split -> its size.
    """

    digest: str = ""
    splits: Mapping[str, SplitSize] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        splits = {name: asdict(size) for name, size in self.splits.items()}
        return {"digest": self.digest, "splits": splits}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``; raises KeyError or TypeError for what is none."""
        splits = {str(name): SplitSize(**size) for name, size in values["splits"].items()}
        return cls(str(values.get("digest", "")), splits)


@dataclass(frozen=True)
class ModelDescription:
    """Words, data and numbers about a model.

    Attributes:
        words: By people.
        data: What it was trained on; None if unknown.
        metrics: What was measured, oldest first.
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

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {
            "words": self.words.to_dict(),
            "data": None if self.data is None else self.data.to_dict(),
            "metrics": [table.to_dict() for table in self.metrics],
            "software": dict(self.software),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``.

        Raises:
            UsageError: Words that are none.
            KeyError, TypeError, ValueError, AttributeError: Something else is wrong.
        """
        data = values.get("data")
        return cls(
            words=ModelWords.from_dict(values.get("words", {})),
            data=None if data is None else TrainingData.from_dict(data),
            metrics=tuple(MetricTable.from_dict(table) for table in values.get("metrics", ())),
            software={str(name): str(version) for name, version in values["software"].items()}
            if "software" in values
            else {},
        )
