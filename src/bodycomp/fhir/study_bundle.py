"""All resources of one study, validated, as one Bundle."""

from __future__ import annotations

import importlib
import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bodycomp.dicom.derived.measured import MeasuredSeries
from bodycomp.errors import SeriesError, UsageError
from bodycomp.fhir.document import SeriesContent, bundle_document, series_content
from bodycomp.fhir.terms import Element
from bodycomp.storage import atomic_file

_LIBRARY: Final = "fhir.resources"
_BUNDLE: Final = "fhir.resources.R4B.bundle"


def check_fhir() -> None:
    """Check that resources can be validated.

    Raises:
        UsageError: fhir.resources is not installed.
    """
    try:
        found = importlib.util.find_spec(_BUNDLE)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UsageError(
            f"expected {_LIBRARY} with R4B to validate FHIR with, found none",
            hint="Install it with: pip install 'bodycomp[fhir]'",
        )


class StudyBundle:
    """The Bundle of one study, which grows by its series.

    It is a collection: which of its patients a study belongs to, only the receiver knows.
    """

    def __init__(self) -> None:
        self._series: list[SeriesContent] = []
        self._issued = datetime.now(UTC).isoformat(timespec="seconds")

    def add(self, measured: MeasuredSeries, folder: Path, objects: tuple[str, ...]) -> None:
        """Add a series; the bundle stays as it was if that fails.

        Args:
            measured: What was measured, and whom written results name.
            folder: Its folder.
            objects: Names of DICOM objects to refer to, where the folder has them.

        Raises:
            SeriesError: The source cannot be referred to, or makes resources that are not valid.
        """
        self._series.append(series_content(measured, folder, objects))
        try:
            self._validated()
        except ValueError as error:  # values of the header, which the message may quote
            self._series.pop()
            raise SeriesError("the header has values that are not valid in FHIR") from error

    def write(self, path: Path) -> None:
        """Write the bundle whole or not at all; without a series there is none."""
        if self._series:
            text = json.dumps(self._validated(), indent=2, ensure_ascii=False) + "\n"
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def _validated(self) -> Element:
        """Return the bundle as the library understands it.

        Raises:
            ValueError: It is not valid.
        """
        library: Any = importlib.import_module(_BUNDLE)
        document = bundle_document(self._series, self._issued)
        checked: Element = json.loads(library.Bundle(**document).model_dump_json())
        return checked
