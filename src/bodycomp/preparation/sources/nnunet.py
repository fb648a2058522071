"""The raw layout of nnU-Net: images and label maps with one ``dataset.json`` that names the labels.

    Dataset501_Name/dataset.json
                    imagesTr/case_0000.nii.gz  labelsTr/case.nii.gz
                    imagesTs/                  labelsTs/ where somebody has them

Version 1 maps numbers to names (``"1": "muscle"``), version 2 names to numbers. A label named
``ignore`` is nnU-Net's word for pixels that are not annotated. Cases may be named after patients:
nothing of their names is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from bodycomp.anatomy import ABDOMINAL_TISSUES, BACKGROUND_LABEL
from bodycomp.annotation.labels import IGNORED, NOT_ANNOTATED, LabelMapping, Structure
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.errors import CasesError, InputNotFoundError, UsageError
from bodycomp.level_names import vertebra_named
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareTask
from bodycomp.preparation.source_record import DataSource, SourceCase
from bodycomp.preparation.sources.found import FoundCase, FoundSet, labeled_by, patients_of_cases
from bodycomp.preparation.sources.options import NnunetOptions
from bodycomp.preparation.sources.tree import SourceFile, SourceTree, on_disk
from bodycomp.reading.kinds import VOLUME_SUFFIXES

_DATASET: Final = "dataset.json"
_CHANNEL: Final = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_IGNORE: Final = "ignore"
_BACKGROUND: Final = "background"
_DRAWN: Final = {"imagestr": "labelstr", "imagests": "labelsts"}
"""Folder of images -> folder of their label maps, in lower case."""


def find_nnunet(tree: SourceTree, options: NnunetOptions, work: Path) -> FoundSet:
    """Return the cases; those of ``imagesTs`` with labels are the test.

    Raises:
        InputNotFoundError: There is no ``dataset.json``, or no image.
        CasesError: It is no JSON, names no labels or no CT, or a table does not fit the cases.
        UsageError: A label has no meaning, or it is not said what shall be made.
    """
    file = _dataset_file(tree)
    (path,) = tree.local([file], work)
    dataset = _Dataset.read(path, file.path.parent.name or tree.root.stem)
    task = _task(dataset, options)
    is_masks = isinstance(task, MaskTask)
    labeled = labeled_by(task.mapping) if isinstance(task, MaskTask) and task.mapping else ()
    patients = patients_of_cases(options.patients)
    folds = _folds(options.splits_file)
    names = list(_cases(tree, file.path.parent))
    if not names:
        raise InputNotFoundError(
            f"expected images such as imagesTr/case_0000.nii.gz beside {_DATASET}, found none"
        )
    _check_named(patients, [n.name for n in names], options.patients)
    _check_named(folds, [n.name for n in names], options.splits_file)
    cases = []
    for number, each in enumerate(names, start=1):
        stated = "test" if each.is_test else folds.get(each.name, "")
        split = "test" if each.is_test else _split(stated, options.val_fold)
        patient = patients.get(each.name, each.name) if patients else each.name
        known = SourceCase(f"case {number}", patient, dataset.name, dataset.license, stated)
        labels = (each.labels,) if each.labels else ()
        levels = labels if not is_masks or task.level_format.vertebra_labels else ()
        case = FoundCase(known, split, each.image, labels if is_masks else (), levels, labeled)
        for reason in _faults(each, has_folds=bool(folds), stated=stated):
            case = case.without(reason)
        cases.append(case)
    source = DataSource(
        name=dataset.name,
        version=dataset.release,
        license=dataset.license,
        page=dataset.reference,
        notes=() if options.patients else ("Each case is taken for a patient.",),
        is_public=False,
    )
    return FoundSet(source, tuple(cases), task)


@dataclass(frozen=True, slots=True)
class _Dataset:
    """What ``dataset.json`` says: name -> number of each label but the background."""

    name: str
    labels: Mapping[str, int]
    license: str = ""
    release: str = ""
    reference: str = ""

    @classmethod
    def read(cls, path: Path, folder: str) -> _Dataset:
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise CasesError(f"{_DATASET}: expected JSON ({error})") from error
        if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
            raise CasesError(f"{_DATASET}: expected labels, found none")
        channels = content.get("channel_names") or content.get("modality") or {}
        first = str(channels.get("0", "")) if isinstance(channels, dict) else ""
        if not first.upper().startswith("CT"):
            raise CasesError(
                f"{_DATASET}: expected CT as channel 0, found {first or 'none'}",
                hint="Only CT has the HU that all of bodycomp relies on.",
            )
        texts = (
            str(content.get(key) or content.get(other) or "")
            for key, other in (
                ("license", "licence"), ("release", "dataset_release"), ("reference", "reference"),
            )
        )  # fmt: skip
        name = str(content.get("name") or content.get("dataset_name") or folder)
        return cls(name, dict(_labels(content["labels"])), *texts)


def _labels(found: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield name and number of each label, of either version, without the background."""
    for key, value in found.items():
        name, number = (str(value), key) if str(key).isdigit() else (str(key), value)
        if isinstance(number, list):
            raise CasesError(
                f"{_DATASET}: expected one number of the label {name}, found a region of several",
                hint="Say what its numbers mean in a dataset.json of plain labels.",
            )
        if not str(number).isdigit():
            raise CasesError(f"{_DATASET}: expected the number of {name}, found {number!r}")
        if int(number) != BACKGROUND_LABEL:
            yield name, int(number)
        elif name.casefold() != _BACKGROUND:
            raise CasesError(f"{_DATASET}: expected 0 to be the background, found {name}")


def _dataset_file(tree: SourceTree) -> SourceFile:
    files = on_disk(file for file in tree.files if file.key == _DATASET)
    if len(files) != 1:
        shown = ", ".join(str(file.path.parent) for file in files) or "none"
        raise InputNotFoundError(
            f"expected one {_DATASET} in {tree.root}, found {shown}",
            hint="Give the folder of one data set, such as nnUNet_raw/Dataset501_Name.",
        )
    return files[0]


def _task(dataset: _Dataset, options: NnunetOptions) -> PrepareTask:
    """Return what is made: by labels that mean tissues, or that name vertebrae."""
    vertebrae = {
        level: number
        for name, number in dataset.labels.items()
        if (level := vertebra_named(name)) is not None
    }
    level_format = LevelOptions(vertebra_labels=vertebrae)
    mapping = _mapping(dataset, options)
    tissues = {tissue.label for tissue in ABDOMINAL_TISSUES}
    has_tissues = bool(tissues & set(mapping.labels.values()))
    if options.make is None and has_tissues and vertebrae:
        raise UsageError(
            f"expected --make, found tissues and vertebrae in {_DATASET}",
            hint="Say --make segmentation or --make slice-selection; make both in two folders.",
        )
    make = options.make or ("slice-selection" if vertebrae else "segmentation")
    if make == "slice-selection":
        if not vertebrae:
            raise UsageError(f"expected vertebrae among the labels of {_DATASET}, found none")
        return LevelTask(level_format=level_format)
    if not has_tissues:
        raise UsageError(
            f"expected a label that means a tissue, found {', '.join(dataset.labels)}",
            hint="Say what they mean, for instance --labels SAT=subcutaneous_fat.",
        )
    unknown = [n for n, number in dataset.labels.items() if str(number) not in mapping.labels]
    if unknown:
        raise UsageError(
            f"expected a meaning of every label of {_DATASET}, found none of {', '.join(unknown)}",
            hint=f"Say it with --labels, for instance {unknown[0]}={IGNORED}.",
        )
    return MaskTask(mapping, options.sampling, level_format)


def _mapping(dataset: _Dataset, options: NnunetOptions) -> LabelMapping:
    """Return number -> meaning: as the user says, else as a label is called."""
    said = LabelMapping.parse(options.labels)
    found: dict[str, int] = {}
    used: set[str] = set()
    for name, number in dataset.labels.items():
        meaning = said.find(Structure(number, name))
        if meaning is None:
            meaning = LabelMapping.parse(_usual(name)).find(Structure(None, name))
        else:
            used |= {key for key in said.labels if _means(key, name, number)}
        if meaning is not None:
            found[str(number)] = meaning
    unknown = said.labels.keys() - used
    if unknown:
        raise UsageError(
            f"expected labels of {_DATASET}, {', '.join(dataset.labels)}, found "
            f"{', '.join(sorted(unknown))}"
        )
    return LabelMapping(found)


def _means(key: str, name: str, number: int) -> bool:
    return LabelMapping({key: 1}).find(Structure(number, name)) is not None


def _usual(name: str) -> Sequence[str]:
    """Return the meaning of a label by its name, if that says it."""
    if vertebra_named(name) is not None:
        return [f"{name}={IGNORED}"]
    usual = [f"{tissue.key}={tissue.key}" for tissue in ABDOMINAL_TISSUES]
    return [*usual, f"{_IGNORE}={NOT_ANNOTATED}"]


@dataclass(frozen=True, slots=True)
class _Files:
    """The image and the labels of a case; ``name`` may identify a patient."""

    name: str
    image: SourceFile
    labels: SourceFile | None
    is_test: bool


def _cases(tree: SourceTree, root: PurePosixPath) -> Iterator[_Files]:
    """Yield the cases by the names of their images, training before test."""
    found: dict[str, dict[str, SourceFile]] = {}
    for file in tree.files:
        suffix = next((s for s in VOLUME_SUFFIXES[::-1] if file.key.endswith(s)), "")
        if suffix and file.path.parent.parent == root:
            stem = file.path.name[: -len(suffix)]
            found.setdefault(file.path.parent.name.casefold(), {})[stem] = file
    for images, labels in _DRAWN.items():
        for stem, image in sorted(found.get(images, {}).items()):
            named = _CHANNEL.fullmatch(stem)
            if named and int(named["channel"]) == 0:
                of_case = found.get(labels, {}).get(named["case"])
                yield _Files(named["case"], image, of_case, images == "imagests")


def _faults(case: _Files, *, has_folds: bool, stated: str) -> Iterator[str]:
    if case.labels is None:
        yield "it has no labels"
    if has_folds and not stated:
        yield "the file of splits does not name it"


def _folds(path: Path | None) -> Mapping[str, str]:
    """Return case -> the fold in which it validates, such as ``fold-0``."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        folds = [tuple(fold["val"]) for fold in content]
    except OSError as error:
        raise InputNotFoundError(f"expected a file of splits, found none at {path}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CasesError(
            f"{path.name}: expected a list of folds with train and val, found something else",
            hint="nnU-Net writes it as nnUNet_preprocessed/Dataset501_Name/splits_final.json.",
        ) from error
    found: dict[str, str] = {}
    for number, cases in enumerate(folds):
        for case in cases:
            if found.setdefault(str(case), f"fold-{number}") != f"fold-{number}":
                raise CasesError(f"{path.name}: expected each case in val of one fold")
    return found


def _split(stated: str, val_fold: int) -> str:
    return "" if not stated else "val" if stated == f"fold-{val_fold}" else "train"


def _check_named(named: Mapping[str, str], cases: Sequence[str], path: Path | None) -> None:
    unknown = [name for name in named if name not in cases]
    if path and unknown:
        raise CasesError(
            f"{path.name}: expected cases of the data set, found {len(unknown)} others",
            hint="Cases are called as their label maps are, without suffix.",
        )
