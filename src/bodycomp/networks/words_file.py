"""A file of words about a model, YAML or JSON, as a person writes it."""

from __future__ import annotations

from pathlib import Path

import yaml

from bodycomp.errors import InputNotFoundError, UsageError
from bodycomp.networks.card_words import WORD_KEYS, ModelWords


def read_words(path: Path) -> ModelWords:
    """Read the words of a file.

    Raises:
        InputNotFoundError: There is no such file.
        UsageError: It is no YAML of the fields of ``ModelWords``.
    """
    if not path.is_file():
        raise InputNotFoundError(f"expected a file of words about a model, found none: {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected YAML in UTF-8 ({error})") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: expected keys with text, found {type(content).__name__}",
            hint=f"Known are {', '.join(WORD_KEYS)}; docs/model-card.md has an example.",
        )
    try:
        return ModelWords.from_dict(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
