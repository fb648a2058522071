"""Keywords of Python -> options: the fields of options classes are the keywords of functions."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Options = TypeVar("Options")
Function = TypeVar("Function", bound=Callable[..., Any])

PathLike = str | os.PathLike[str]
"""Wherever a path is expected, text does as well."""


def take(kind: type[Options], given: MutableMapping[str, Any], **known: Any) -> Options:
    """Make options of those keywords that are their fields, and remove these.

    Text stands for a path, and any sequence for a tuple.

    Args:
        kind: Dataclass.
        given: Keywords of the user.
        known: Further fields.

    Raises:
        UsageError: What the options refuse.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in _fields(kind)]
    own = known | {name: given.pop(name) for name in names if name in given}
    return kind(**{name: _as_hinted(value, hints[name]) for name, value in own.items()})


def refuse_rest(function: Callable[..., Any], given: Iterable[str]) -> None:
    """Refuse keywords that no options took.

    Raises:
        TypeError: There are some.
    """
    for name in given:
        raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")


def takes(*kinds: type[Any], without: Iterable[str] = ()) -> Callable[[Function], Function]:
    """Give a function with ``**options`` the signature that it has in effect.

    Args:
        kinds: Options classes whose fields are its keywords.
        without: Fields that the function sets by itself.
    """

    def signed(function: Function) -> Function:
        own = inspect.signature(function)
        parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        taken = {*without, *own.parameters}
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=... if field.default is MISSING else field.default,
                annotation=field.type,
            )
            for kind in kinds
            for field in _fields(kind)
            if field.name not in taken
        ]
        function.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined] # typeshed has none
        return function

    return signed


def keywords_of(options: Any) -> dict[str, Any]:
    """Return the fields of options as keywords of their function."""
    return {field.name: getattr(options, field.name) for field in _fields(type(options))}


def _fields(kind: type[Any]) -> tuple[Any, ...]:
    return fields(kind)


def _as_hinted(value: Any, hint: Any) -> Any:
    """Return a value as its option has it: paths of text, tuples of lists."""
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if Path in choices and isinstance(value, str | os.PathLike):
        return Path(value)
    tuples = [choice for choice in choices if get_origin(choice) is tuple]
    if tuples and isinstance(value, Iterable) and not isinstance(value, str):
        inner = get_args(tuples[0])[0]
        return tuple(_as_hinted(item, inner) for item in value)
    return value
