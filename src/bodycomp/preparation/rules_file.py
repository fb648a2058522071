"""The file in which ``TissueRules`` are stated: YAML, every value a text."""

from __future__ import annotations

from pathlib import Path

import yaml

from bodycomp.annotation.tissue_rules import TissueRules
from bodycomp.errors import InputNotFoundError, UsageError


def read_rules(path: Path) -> TissueRules:
    """Read the rules of a file.

    Raises:
        InputNotFoundError: It is not there.
        UsageError: It is no YAML in UTF-8, or no rules; the message names the line or the key.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a file of rules, found none at {path}")
    try:
        return parse_rules(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name}: expected plain text in UTF-8") from error
    except UsageError as error:
        raise UsageError(f"{path.name}: {error.message}", hint=error.hint) from error


def parse_rules(text: str) -> TissueRules:
    """Read rules from the text of such a file; raises as ``read_rules``."""
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- it makes text alone
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UsageError(f"{where}expected YAML ({getattr(error, 'problem', error)})") from error
    return TissueRules.parse(content)
