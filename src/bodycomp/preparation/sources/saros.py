"""SAROS: 900 CTs with regions and parts of the body on every fifth slice, in five folds and a test.

    data/case_000/image.nii.gz  body-regions.nii.gz  body-parts.nii.gz
    Segmentation-Info_*.csv     id, split, tcia_collection, tcia_case_id, ...

The masks come as one archive, the images by a script of the authors, often into another folder;
what belongs to one case is put together by its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from bodycomp.annotation.tissue_rules import TissueRules
from bodycomp.data.sampling_options import MaskSampling
from bodycomp.errors import CasesError, InputNotFoundError
from bodycomp.preparation.options import MaskTask
from bodycomp.preparation.rules_file import parse_rules, read_rules
from bodycomp.preparation.source_record import DataSource, SourceCase
from bodycomp.preparation.sources.found import FoundCase, FoundSet, cell, rows_of
from bodycomp.preparation.sources.options import SarosOptions
from bodycomp.preparation.sources.tree import SourceFile, SourceTree, on_disk

SOURCE: Final = DataSource(
    name="SAROS",
    version="2",
    doi="10.25737/SZ96-ZG60",
    license="CC BY 4.0 (masks); images by their collections",
    page="https://www.cancerimagingarchive.net/analysis-result/saros/",
    citation="Koitka S, Baldini G, Kroll L, et al. SAROS: A dataset for whole-body region and "
    "organ segmentation in CT imaging. Sci Data 11, 483 (2024). doi:10.1038/s41597-024-03337-6",
    notes=(
        "Cite the collections that the images are from, too, as their pages ask.",
        "Every fifth slice is annotated; the others are no samples.",
        "Cases 609, 623 and 816 have values such as -3000 HU; what is below air is raised to it.",
    ),
)

AGREEMENT: Final = (
    "acrin-hnscc-fdg-pet-ct",
    "anti-pd-1_melanoma",
    "head-neck cetuximab",
    "hnscc",
    "qin-headneck",
    "tcga-hnsc",
)
"""Collections that need an agreement with TCIA (README of the authors' script)."""
NEEDS_AGREEMENT: Final = "TCIA restricted license agreement"
LICENSES: Final = {"nsclc-radiomics": "CC BY-NC 3.0", "lidc-idri": "CC BY 3.0"}
"""Of collections, as their pages at TCIA say. All others are not known here: their pages may
change, and a license that is guessed is worse than one that the user has to state."""

_CASE: Final = re.compile(r"case[ _-]?0*(?P<number>\d+)", re.IGNORECASE)
_FOLD: Final = re.compile(r"fold[ _-]?(?P<number>[1-5])", re.IGNORECASE)
_TABLE: Final = re.compile(r"(segmentation[ _-]*info.*|info)\.csv", re.IGNORECASE)
_FILES: Final = ("image", "body-regions", "body-parts")
_SUFFIXES: Final = (".nii.gz", ".nii")


def saros_rules(path: Path | None = None) -> TissueRules:
    """Return the usual rules, or those of a file; raises as ``read_rules``."""
    if path is not None:
        return read_rules(path)
    return parse_rules(files(__package__).joinpath("saros.yaml").read_text(encoding="utf-8"))


def _task(options: SarosOptions) -> MaskTask:
    """Return what is made: slices that are annotated, with tissues by the rules."""
    sampling = MaskSampling(spacing_mm=options.spacing_mm, max_per_scan=options.max_per_scan)
    return MaskTask(rules=saros_rules(options.rules_file), sampling=sampling)


def find_saros(tree: SourceTree, options: SarosOptions, work: Path) -> FoundSet:
    """Return the cases of SAROS with their folds.

    Raises:
        InputNotFoundError: There is no table of cases, or not one file of a case.
        CasesError: The table has no column ``id`` or ``split``, or a case twice.
    """
    rows = _rows(tree, work)
    found = _files_of_cases(tree)
    if not found:
        raise InputNotFoundError(
            f"expected folders such as case_000 in {tree.root}, found none",
            hint="Give the folder that holds the masks, the images and the table.",
        )
    cases = [
        _case(number, row, _beside_image(found.get(number, {})), options)
        for number, row in rows.items()
    ]
    cases += [
        FoundCase(SourceCase(f"case_{number:03d}", left_out="the table does not name it"))
        for number in found
        if number not in rows
    ]
    return FoundSet(SOURCE, tuple(cases), _task(options))


def _rows(tree: SourceTree, work: Path) -> dict[int, Mapping[str, str]]:
    """Return number of the case -> row of the table."""
    tables = on_disk(file for file in tree.files if _TABLE.fullmatch(file.path.name))
    if len(tables) != 1:
        shown = ", ".join(str(file.path) for file in tables) or "none"
        raise InputNotFoundError(
            f"expected one table named Segmentation-Info_....csv in {tree.root}, found {shown}",
            hint="Put the 'Segmentation Information Spreadsheet' of SAROS beside its case folders.",
        )
    name = tables[0].path.name
    rows: dict[int, Mapping[str, str]] = {}
    for row in rows_of(tree, tables[0], work):
        if "id" not in row or "split" not in row:
            raise CasesError(f"{name}: expected columns id and split, found {', '.join(row)}")
        number = _number(row["id"])
        if number is None:
            raise CasesError(f"{name}: expected ids such as case_000, found {row['id']!r}")
        if number in rows:
            raise CasesError(f"{name}: expected every case once, found {row['id']} twice")
        rows[number] = row
    return rows


def _number(name: str) -> int | None:
    found = _CASE.fullmatch(name.strip())
    return int(found["number"]) if found else None


def _files_of_cases(tree: SourceTree) -> dict[int, dict[str, list[SourceFile]]]:
    """Return number of the case -> name such as ``body-parts`` -> its files in any folder."""
    found: dict[int, dict[str, list[SourceFile]]] = {}
    for file in tree.files:
        number = _number(file.path.parent.name)
        name = next((file.key[: -len(s)] for s in _SUFFIXES if file.key.endswith(s)), "")
        name = name.replace("_", "-").replace(" ", "-")
        if number is not None and name in _FILES:
            found.setdefault(number, {}).setdefault(name, []).append(file)
    return found


def _case(
    number: int,
    row: Mapping[str, str],
    found: Mapping[str, list[SourceFile]],
    options: SarosOptions,
) -> FoundCase:
    collection = cell(row, "tcia_collection", "collection")
    known = SourceCase(
        name=f"case_{number:03d}",
        patient=cell(row, "tcia_case_id", "tcia_patient_id", "patient_id") or f"case_{number:03d}",
        collection=collection,
        license=cell(row, "license", "licence", "tcia_license") or _license(collection),
        split=row["split"],
    )
    split = _split(row["split"], options.val_fold)
    case = FoundCase(known, split)
    for reason in _faults(found, row["split"], split):
        return case.without(reason)
    image, regions, parts = (found[name][0] for name in _FILES)
    return FoundCase(known, split, image, (regions, parts))


def _beside_image(found: Mapping[str, list[SourceFile]]) -> dict[str, list[SourceFile]]:
    """Return files on the disk before archives, and of several masks those beside the image.

    The authors' script writes masks with every image, and their archive has the same masks.
    """
    files = {name: on_disk(of_name) for name, of_name in found.items()}
    homes = {file.path.parent for file in files.get("image", ())}
    return {name: [f for f in of if f.path.parent in homes] or of for name, of in files.items()}


def _faults(found: Mapping[str, list[SourceFile]], stated: str, split: str) -> Iterator[str]:
    missing = [name for name in _FILES if name not in found]
    if len(missing) == len(_FILES):
        yield "it was not downloaded"
    elif missing:
        yield f"no {' and no '.join(missing)} was found"
    for name, files_of in found.items():
        if len(files_of) > 1:
            yield f"{name} was found {len(files_of)} times"
    if not split:
        yield f"its split is {stated or 'empty'}, expected fold-1 to fold-5 or test"


def _split(stated: str, val_fold: int) -> str:
    fold = _FOLD.fullmatch(stated.strip())
    if fold is None:
        return "test" if stated.strip().casefold() == "test" else ""
    return "val" if int(fold["number"]) == val_fold else "train"


def _license(collection: str) -> str:
    """Return the license of a collection as far as it is known."""
    name = collection.casefold().replace("/", "-")
    if name in AGREEMENT:
        return NEEDS_AGREEMENT
    # TCIA states one license for all of its collections of The Cancer Genome Atlas.
    return LICENSES.get(name, "CC BY 3.0" if name.startswith("tcga-") else "")
