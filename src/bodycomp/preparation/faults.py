"""Why a case is refused, in words that tell nothing of the patient."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from bodycomp.errors import BodycompError
from bodycomp.preparation.cases import Case
from bodycomp.preparation.private import without_names

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartFault:
    """Why a case is refused.

    Attributes:
        kind: Class of the error.
        reason: What was expected and found, without names, codes, paths and UIDs.
    """

    kind: str
    reason: str


def fault_of(error: Exception, case: Case) -> PartFault:
    """Return what an error says of a case, whatever library raised it."""
    if isinstance(error, BodycompError):
        return PartFault(type(error).__name__, without_names(str(error), case))
    if isinstance(error, OSError):
        return PartFault("file", f"a file cannot be read: {error.strerror}")
    if isinstance(error, MemoryError):
        return PartFault("memory", "expected a scan that fits into memory; try fewer --jobs")
    _LOG.debug("unexpected fault", exc_info=error)
    return PartFault(type(error).__name__, without_names(f"cannot be read ({error})", case))
