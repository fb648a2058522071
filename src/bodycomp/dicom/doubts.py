"""What speaks against measuring a series that can be measured: reasons to rank it last.

The words are hints. They never make a series usable, and where nothing better is there, it is
measured all the same and the doubts stand in its notes.
"""

from __future__ import annotations

import re
from typing import Final

from pydicom.uid import (
    JPEG2000,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from bodycomp.dicom.candidate import is_original
from bodycomp.dicom.file_header import FileHeader

_MAY_LOSE_DETAIL: Final = frozenset(
    {JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
)
# Image types of multi-energy CT (Supplement 188) and of makers.
_MONOENERGETIC_WORDS: Final = frozenset({"VMI", "MONO_E", "MONOENERGETIC", "MONO"})
_MODIFIED_WORDS: Final = frozenset({"MAT_REMOVED", "MAT_MODIFIED", "VNC", "VUE"})
_MONOENERGETIC: Final = re.compile(
    r"\d\s*kev\b|\bmono[\s_-]*(energetic|chromatic|e\b|\+|\d)", re.IGNORECASE
)
_MODIFIED: Final = re.compile(r"\bvnc\b|\bvirtual[\s_-]*(non|un)|\bvue\b", re.IGNORECASE)
_MAP: Final = re.compile(
    r"\biodine|\bjod\b|\bz[\s_-]?eff|electron[\s_-]?densit|\bperfusion\b|\bcb[fv]\b|\bmtt\b"
    r"|subtract|bone[\s_-]?remov|\buric|\bcalcium[\s_-]?(map|only)",
    re.IGNORECASE,
)  # fmt: skip


def find_doubts(header: FileHeader) -> tuple[str, ...]:
    """Return the doubts about a series from one of its images; nothing identifying."""
    words = frozenset(header.image_type)
    text = header.region
    stated = header.rescale_type
    doubts = {
        "derived from other images": not is_original(header.image_type),
        "lossy compression": header.is_lossy or header.transfer_syntax_uid in _MAY_LOSE_DETAIL,
        "monoenergetic images of dual-energy CT, whose HU depend on the energy chosen": bool(
            words & _MONOENERGETIC_WORDS or _MONOENERGETIC.search(text)
        ),
        "virtual non-contrast or otherwise modified HU": bool(
            words & _MODIFIED_WORDS or stated == "HU_MOD" or _MODIFIED.search(text)
        ),
        "its description names a map rather than HU": bool(_MAP.search(text)),
    }
    return tuple(reason for reason, holds in doubts.items() if holds)
