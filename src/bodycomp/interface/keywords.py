"""Keywords of Python -> options, by what is declared beside the fields of options classes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, TypeVar

from bodycomp.options import Option, declared, default_of

Options = TypeVar("Options")
Function = TypeVar("Function", bound=Callable[..., Any])

PathLike = str | os.PathLike[str]
"""Wherever a path is expected, text does as well."""


def options_from(
    function: Callable[..., Any], kind: type[Options], given: Mapping[str, Any], **known: Any
) -> Options:
    """Make options, and those nested in them, of a function's keywords.

    Text stands for a path, any collection for a tuple, and ``{1: "muscle"}`` for ``["1=muscle"]``.

    Args:
        function: Whose keywords they are, for messages.
        kind: Options class.
        given: Keywords of the user: names of fields, or of flags of the command.
        known: Field -> its value, or the class of the options nested there.

    Raises:
        TypeError: A keyword that is no option, or a missing one.
        UsageError: What the options refuse.
    """
    rest = dict(given)
    made = _made(kind, rest, known)
    for name in rest:
        raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")
    return made


def takes(
    kind: type[Any], without: Collection[str] = (), **chosen: type[Any]
) -> Callable[[Function], Function]:
    """Give a function with ``**options`` the signature that it has in effect.

    Args:
        kind: Options class whose options are its keywords.
        without: Fields that the function sets by parameters of its own.
        chosen: Field -> class of the options nested there.
    """

    def signed(function: Function) -> Function:
        own = inspect.signature(function)
        parameters = {p.name: p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD}
        for field, found in _flat(kind, without, chosen):
            default = default_of(field)
            name = _keyword(field, found)
            parameters[name] = inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is MISSING else default,
                annotation=field.type,
            )
        function.__signature__ = own.replace(  # type: ignore[attr-defined] # typeshed has none
            parameters=list(parameters.values())
        )
        return function

    return signed


def _made(kind: type[Options], rest: dict[str, Any], known: Mapping[str, Any]) -> Options:
    """Make options of the keywords that are theirs, and take these out of ``rest``."""
    values = {name: value for name, value in known.items() if not isinstance(value, type)}
    for field, found in declared(kind):
        if field.name in values:
            continue
        if not isinstance(found, Option):
            values[field.name] = _made(known.get(field.name, found), rest, {})
            continue
        for name in {_keyword(field, found), field.name, _flag(found)} & rest.keys():
            value = rest.pop(name)
            if not found.several or value:  # no labels are those of the default
                values[field.name] = _value(field, found, value)
    return kind(**values)


def _flat(
    kind: type[Any], without: Collection[str], chosen: Mapping[str, type[Any]]
) -> Iterator[tuple[Field[Any], Option]]:
    for field, found in declared(kind):
        if isinstance(found, Option):
            if field.name not in without:
                yield field, found
        else:
            yield from _flat(chosen.get(field.name, found), (), {})


def _keyword(field: Field[Any], found: Option) -> str:
    """Return what an option is called in Python: as its flag, unless the field says more.

    Switches are called as their field, which is true where ``--no-...`` makes it false.
    """
    flag = _flag(found)
    is_switch = field.type == "bool" and not found.choices
    if found.is_positional or is_switch or field.name.startswith(flag):
        return field.name
    return flag


def _flag(found: Option) -> str:
    return found.flag.strip("-").replace("-", "_")


def _value(field: Field[Any], found: Option, value: Any) -> Any:
    """Return a value as its option has it."""
    if isinstance(value, Mapping):
        value = [f"{label}={meaning}" for label, meaning in value.items()]
    if isinstance(value, str) and found.parse:
        value = found.parse(value)
    hint = str(field.type)
    if isinstance(value, os.PathLike | str) and "Path" in hint and "[" not in hint:
        return Path(value)
    if isinstance(value, Collection) and not isinstance(value, str):
        items = [Path(item) for item in value] if "Path" in hint else list(value)
        value = frozenset(items) if "frozenset" in hint else tuple(items)
        return found.convert(value) if found.convert else value
    return found.convert(value) if found.convert and isinstance(value, str) else value
