"""``labels.json`` of a segmentation set: which pixels and which tissues were annotated.

It lies beside the masks, so that it travels with them. Without it every pixel of every sample was
annotated for every tissue, and 255 is a label that a mask must not have: a mask that was scaled to
0..255 is not taken for one that is not finished.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    ALL_TISSUES,
    BACKGROUND_LABEL,
    FATS,
    MUSCLE,
    MUSCLE_GROUPS,
    NOT_ANNOTATED_LABEL,
    Tissue,
    background_or,
)
from bodycomp.data.issues import Issue, Rule
from bodycomp.data.layout import LABELS_NAME, SPLITS
from bodycomp.storage import atomic_file

DECLARATION: Final = {"not_annotated": NOT_ANNOTATED_LABEL}
LABELED: Final = "labeled"
LABELS_FILE: Final = Rule(
    "labels-file",
    "error",
    f"Write {json.dumps(DECLARATION)} if {NOT_ANNOTATED_LABEL} marks pixels that nobody annotated, "
    f'"{LABELED}" if some samples were labeled for some tissues only (docs/formats.md), or remove '
    "the file if every pixel is annotated for every tissue.",
)

_KEYS: Final = {tissue.key: tissue for tissue in ALL_TISSUES}
_USUAL: Final = tuple(tissue.key for tissue in ABDOMINAL_TISSUES)

Labeled = Sequence[str] | Sequence[Sequence[str]]
"""Keys of the tissues that were labeled: in every sample of a split, or one entry a sample."""


@dataclass(frozen=True, slots=True)
class LabelDeclaration:
    """What a set says of its labels.

    Attributes:
        not_annotated: Whether masks may hold ``NOT_ANNOTATED_LABEL``.
        labeled: By split; empty for a set that was labeled for all tissues.
    """

    not_annotated: bool = False
    labeled: Mapping[str, Labeled] = field(default_factory=dict)

    @property
    def has_more_tissues(self) -> bool:
        """Whether masks may hold labels of tissues beyond the usual three."""
        entries = (entry for of in self.labeled.values() for entry in _entries(of, 1))
        return any({*entry} - {*_USUAL} for entry in entries)

    @property
    def has_fats_alone(self) -> bool:
        """Whether fats are all that any sample was labeled for."""
        found = {key for of in self.labeled.values() for entry in _entries(of, 1) for key in entry}
        return bool(found) and found <= {tissue.key for tissue in FATS}

    def backgrounds(
        self, split: str, samples: int, tissues: Sequence[Tissue] = ABDOMINAL_TISSUES
    ) -> bytes | Issue:
        """Return what the background of each sample stands for, labels of ``background_or``.

        Empty if all samples of the split were labeled for all ``tissues``; an issue if the file
        does not say it of every sample, or if muscle was labeled where its groups were not.
        """
        if not self.labeled and {*tissues} <= {*ABDOMINAL_TISSUES}:
            return b""
        of_split = self.labeled.get(split, ()) if self.labeled else _USUAL
        entries = _entries(of_split, samples)
        if len(entries) != samples:
            return LABELS_FILE.broken(
                LABELS_NAME,
                f"expected the labeled tissues of {samples} samples of {split}, found "
                f"{len(entries)}",
            )
        groups = {tissue.key for tissue in tissues if tissue in MUSCLE_GROUPS}
        for index, labeled in enumerate(entries):
            if MUSCLE.key in labeled and (lacking := groups - {*labeled}):
                return LABELS_FILE.broken(
                    LABELS_NAME,
                    f"expected muscle of {split}, sample {index}, to be labeled by group, found "
                    f"no {', '.join(sorted(lacking))} among the labeled tissues",
                )
        found = bytes(_background(tissues, labeled) for labeled in entries)
        return found if any(found) else b""


def _background(tissues: Sequence[Tissue], labeled: Collection[str]) -> int:
    missing = [tissue for tissue in tissues if tissue.key not in labeled]
    return NOT_ANNOTATED_LABEL if len(missing) == len(tissues) else background_or(missing)


def with_background(labels: NDArray[np.uint8], background: int) -> NDArray[np.uint8]:
    """Return labels whose background stands for ``background``; the same array if for itself."""
    if background == BACKGROUND_LABEL:
        return labels
    return np.where(labels == BACKGROUND_LABEL, np.uint8(background), labels)


def declare_labels(
    data_dir: Path, *, not_annotated: bool = False, labeled: Mapping[str, Labeled] | None = None
) -> None:
    """Write what a segmentation set says of its labels; nothing if there is nothing to say.

    Args:
        data_dir: The set.
        not_annotated: Whether 255 in its masks means that nobody annotated a pixel.
        labeled: Split -> keys of the tissues that were labeled, such as ``("muscle",)``, or those
            of each sample, such as ``[("muscle",), ("subcutaneous_fat", "visceral_fat")]``.
    """
    declared: dict[str, Any] = DECLARATION if not_annotated else {}
    entries = {split: _entries(of, 1) for split, of in (labeled or {}).items() if of}
    if any({*entry} != {*_USUAL} for of in entries.values() for entry in of):
        short = {s: of[0] if all(e == of[0] for e in of) else of for s, of in entries.items()}
        declared = declared | {LABELED: short}
    if declared:
        with atomic_file(data_dir / LABELS_NAME) as temporary:
            temporary.write_text(json.dumps(declared) + "\n", encoding="utf-8")


def read_declaration(data_dir: Path) -> LabelDeclaration | Issue:
    """Return what a set says of its labels, or why the file that should say so cannot be used."""
    path = data_dir / LABELS_NAME
    if not path.exists():
        return LabelDeclaration()
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as fault:
        reason = " ".join(str(fault).split())[:160]
        return _broken(f"a file that cannot be read ({reason})")
    if not isinstance(found, dict) or not found or found.keys() - {*DECLARATION, LABELED}:
        return _broken(_shown(found))
    says_label = "not_annotated" in found
    label = found.get("not_annotated")
    if says_label and not (type(label) is int and label == NOT_ANNOTATED_LABEL):
        return _broken(_shown(found))
    labeled: Any = found.get(LABELED, {})
    for wrong in _wrong_tissues(labeled):
        return LABELS_FILE.broken(LABELS_NAME, wrong)
    of_split = labeled if isinstance(labeled, dict) else dict.fromkeys(SPLITS, labeled)
    return LabelDeclaration(says_label, of_split)


def _entries(labeled: Labeled, samples: int) -> Sequence[Sequence[str]]:
    """Return one entry a sample."""
    of_all = [key for key in labeled if isinstance(key, str)]
    return [of_all] * samples if of_all else [[*keys] for keys in labeled]


def _wrong_tissues(labeled: object) -> Iterator[str]:
    """Yield what is wrong with the value of "labeled"."""
    expected = f'"{LABELED}": expected'
    entries = labeled if isinstance(labeled, dict) else {"": labeled}
    for split, entry in entries.items():
        where = f" of {split}" if split else ""
        if split not in ("", *SPLITS):
            yield f"{expected} a split of {', '.join(SPLITS)}, found {_shown(split)}"
        if not isinstance(entry, list) or not entry:
            yield f"{expected} tissues{where}, found {_shown(entry)}"
            continue
        samples = entry if split and isinstance(entry[0], list) else [entry]
        for index, keys in enumerate(samples):
            at = f"{where}, sample {index}" if samples is entry else where
            if not isinstance(keys, list) or not keys:
                yield f"{expected} at least one tissue{at}, found {_shown(keys)}"
            elif unknown := [key for key in keys if key not in tuple(_KEYS)]:
                yield f"{expected} tissues of {', '.join(_KEYS)}{at}, found {_shown(unknown[0])}"


def _broken(found: str) -> Issue:
    expected = f'{json.dumps(DECLARATION)} or "{LABELED}" with tissues'
    return LABELS_FILE.broken(LABELS_NAME, f"expected {expected}, found {found}")


def _shown(value: object) -> str:
    return json.dumps(value)[:160]
