"""What the user states of the licenses of a data set's images, by their collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bodycomp.errors import CasesError
from bodycomp.preparation.sources.found import FoundSet, rows_of_file


def with_licenses(found: FoundSet, path: Path | None) -> FoundSet:
    """Return cases with the licenses that a table states of their collections.

    Raises:
        InputNotFoundError: The table is not there.
        CasesError: It lacks a column, names a collection twice, or one that no case has.
    """
    if path is None:
        return found
    stated = _read(path)
    collections = {case.known.collection.casefold() for case in found.cases}
    unknown = [name for name in stated if name not in collections]
    if unknown:
        known = ", ".join(sorted(filter(None, collections))) or "none"
        raise CasesError(
            f"{path.name}: expected collections of the data set, found {', '.join(unknown)}",
            hint=f"Its collections are {known}.",
        )
    cases = (
        replace(
            case,
            known=replace(
                case.known,
                license=stated.get(case.known.collection.casefold(), case.known.license),
            ),
        )
        for case in found.cases
    )
    return replace(found, cases=tuple(cases))


def _read(path: Path) -> Mapping[str, str]:
    stated: dict[str, str] = {}
    for row in rows_of_file(path):
        name = row.get("collection", "").casefold()
        license_name = row.get("license") or row.get("licence", "")
        if not name or not license_name:
            raise CasesError(
                f"{path.name}: expected columns collection and license with a value in every row"
            )
        if name in stated:
            raise CasesError(f"{path.name}: expected every collection once, found {name} twice")
        stated[name] = license_name
    return stated
