"""Where a set may be made: never over what it is made from, nor over anything but a set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bodycomp.errors import OutputError
from bodycomp.preparation.cases import Case
from bodycomp.preparation.options import PrepareOptions
from bodycomp.preparation.report_files import PREPARED_NAME
from bodycomp.storage import refuse_existing


def check_replaced(options: PrepareOptions) -> None:
    """Check that what ``--overwrite`` would remove is a set that was prepared.

    Raises:
        OutputError: The folder has content and shall not be replaced, or is no prepared set.
    """
    out = options.out
    refuse_existing(out, overwrite=options.overwrite)
    if out.is_dir() and any(out.iterdir()) and not (out / PREPARED_NAME).is_file():
        raise OutputError(
            f"expected a prepared training set to replace, found another folder: {out}",
            hint=f"A prepared set holds {PREPARED_NAME}. Name another folder, or remove this one "
            "yourself.",
        )


def check_apart(options: PrepareOptions, cases: Iterable[Case]) -> None:
    """Check that the set is neither above nor inside what it is made from.

    Raises:
        OutputError: Writing the set would remove an input, or add files to a scan's folder.
    """
    out = options.out.resolve()
    for where, path in _inputs(options, cases):
        source = path.resolve()
        if source.is_relative_to(out) or out.is_relative_to(source):
            raise OutputError(
                f"expected the set apart from what it is made from, found {options.out} and "
                f"{where} in one another",
                hint="Name a folder that holds nothing else, beside the scans.",
            )


def _inputs(options: PrepareOptions, cases: Iterable[Case]) -> Iterator[tuple[str, Path]]:
    yield "the cases table", options.cases
    for case in cases:
        yield f"the scan of {case.where}", case.scan
        for path in case.masks:
            yield f"the masks of {case.where}", path
        if case.levels is not None:
            yield f"the levels of {case.where}", case.levels
