"""Names of levels: vertebrae, of which order and distances are known, and any other name.

A name becomes part of column names (``ZOffset_<name>``), file names (``preview-<name>.png``) and
cells of tables, so that it must be safe in all of them, on every system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bodycomp.anatomy import VERTEBRAE
from bodycomp.errors import UsageError

LONGEST_NAME: Final = 32

_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
"""Neither blanks nor dots nor slashes; no leading minus, which is an option; ASCII, because file
systems spell one accented letter in two ways."""

_SPINAL: Final = re.compile(r"[CTL][0-9]{1,2}", re.IGNORECASE)
"""Names that can only be meant for vertebrae, so that ``L33`` is a slip and no level of its own."""

_DEVICES: Final = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)
"""Names that Windows keeps for devices, whatever the folder."""

_NO_TEXT: Final = frozenset(("na", "null", "none", "true", "false"))
"""Cells that spreadsheets and data frames read as no text; numbers (``1e5``, ``nan``) as well."""

_VERTEBRA: Final = re.compile(
    r"(?:vertebrae?|level)?[\s_-]*(?P<part>C|TH?|L|S)\s?0?(?P<number>[0-9]{1,2})"
    r"(?:[\s_-]*(?:vertebra|body))?",
    re.IGNORECASE,
)

_TRANSITIONAL: Final = ("T13", "L6")
"""Vertebrae that some people have beyond the usual ones. Neither order nor distances are expected
of them, since a model with ``L6`` is run on people without it, too."""


def vertebra_named(text: str) -> str | None:
    """Return the level of the vertebra that a text means, None if it means none.

    >>> [vertebra_named(n) for n in ("l3", "vertebrae_T12", "Th 5", "L3 body", "L6", "L3mid")]
    ['L3', 'T12', 'T5', 'L3', 'L6', None]
    """
    found = _VERTEBRA.fullmatch(text.strip())
    if found is None:
        return None
    name = f"{found['part'][0].upper()}{int(found['number'])}"
    return name if name in VERTEBRAE or name in _TRANSITIONAL else None


def level_named(text: str) -> str:
    """Return the level that an annotator's text means: a vertebra however spelled, or its own name.

    >>> level_named("vertebra L3"), level_named("umbilicus")
    ('L3', 'umbilicus')

    Raises:
        UsageError: It is no name of a level.
    """
    return vertebra_named(text) or _checked(text.strip())


def is_level_name(text: str) -> bool:
    """Whether a text is a name that a level can have, spelled as it must be.

    >>> is_level_name("L3"), is_level_name("l3")
    (True, False)
    """
    try:
        check_levels([text])
    except UsageError:
        return False
    return True


def check_levels(names: Sequence[str]) -> tuple[str, ...]:
    """Return ``names`` as a tuple if each can name a level and none is repeated.

    Raises:
        UsageError: None given, a name that is none or spells a vertebra in another way, or two
            that are the same but for upper and lower case.
    """
    if not names:
        raise UsageError("expected at least one level name, found none", hint="Name one, e.g. L3.")
    for name in names:
        vertebra = vertebra_named(_checked(name))
        if vertebra not in (None, name):
            raise UsageError(
                f"expected vertebrae to be written like {vertebra}, found level {name!r}",
                hint=f"Did you mean {vertebra}?",
            )
    check_spelling(names)
    return tuple(names)


def check_spelling(names: Iterable[str]) -> None:
    """Check that no two names are the same but for upper and lower case, as file names may be.

    Raises:
        UsageError: Two are; or one is named twice.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.get(name.casefold())
        if other == name:
            raise UsageError(f"level {name} is named twice", hint="Name each level once.")
        if other is not None:
            raise UsageError(
                f"expected one spelling of a level, found {other} and {name}",
                hint="Some systems take them for one file name: spell both alike, or give one of "
                "them another name.",
            )
        known[name.casefold()] = name


def vertebra_rank(name: str) -> int | None:
    """Return the rank of a vertebra counted from the head, None for other levels.

    >>> vertebra_rank("L1") - vertebra_rank("T12"), vertebra_rank("umbilicus")
    (1, None)
    """
    return VERTEBRAE.index(name) if name in VERTEBRAE else None


def head_to_feet(names: Iterable[str]) -> tuple[str, ...]:
    """Return levels in a fixed order: vertebrae from head to feet, then the others by name.

    >>> head_to_feet(["umbilicus", "L3", "T12", "crest"])
    ('T12', 'L3', 'crest', 'umbilicus')
    """
    return tuple(sorted(names, key=lambda n: (n not in VERTEBRAE, vertebra_rank(n) or 0, n)))


def _checked(name: str) -> str:
    """Return a name that is safe in columns, files and tables.

    Raises:
        UsageError: It is not.
    """
    if _NAME.fullmatch(name) is None or len(name) > LONGEST_NAME:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST_NAME]
        raise UsageError(
            f"expected a level's name of at most {LONGEST_NAME} characters, A-Z, a-z, 0-9, - and "
            f"_, that begins with a letter or digit and has a letter, found {name!r}",
            hint=f"Call it {plain}, for instance."
            if _NAME.fullmatch(plain)
            else "Call it umbilicus or L3_mid, for instance.",
        )
    if _SPINAL.fullmatch(name) and vertebra_named(name) is None:
        raise UsageError(
            f"expected a vertebra that people have, found {name!r}",
            hint="These are C1 to C7, T1 to T13, L1 to L6 and S1. Other levels need other names.",
        )
    if _DEVICES.fullmatch(name):
        raise UsageError(
            f"expected a level's name that can be a file's, found {name!r}, which Windows keeps "
            "for a device",
            hint=f"Call it level_{name}, for instance.",
        )
    if _is_no_text(name):
        raise UsageError(
            f"expected a level's name that tables keep as text, found {name!r}",
            hint=f"Call it level_{name}, for instance.",
        )
    return name


def _is_no_text(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return name.casefold() in _NO_TEXT
    return True
