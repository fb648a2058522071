"""Functions with keywords, made of functions of options by what their classes declare."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field
from functools import wraps
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from bodycomp.options import Option, declared, default_of, default_text
from bodycomp.progress import Progress, shown

Options = TypeVar("Options")
Function = TypeVar("Function", bound=Callable[..., Any])
Taken_contra = TypeVar("Taken_contra", contravariant=True)
Given_co = TypeVar("Given_co", covariant=True)
Declared = tuple[Field[Any], Option]

PathLike = str | os.PathLike[str]
"""Wherever a path is expected, text does as well."""

OWN_BARS: Final[Mapping[str, str]] = {}
"""Stages of a command that draws bars of its own."""

_PROGRESS: Final = inspect.Parameter(
    "progress", inspect.Parameter.KEYWORD_ONLY, default=False, annotation="bool | Progress"
)


class Command(Protocol[Taken_contra, Given_co]):
    """A command as a function: called with keywords, or run with options that are made already."""

    def __call__(self, *places: Any, progress: bool | Progress = False, **options: Any) -> Given_co:
        """Make options of the arguments, and run with them."""

    def run(self, options: Taken_contra, progress: bool | Progress = False) -> Given_co:
        """Run with options; ``progress`` is True for bars, or a function to report to."""


def command(
    kind: type[Options],
    stages: Mapping[str, str] | None = None,
    *,
    chosen: Mapping[str, type[Any]] | None = None,
    usual: Mapping[str, Any] | None = None,
    **places: str,
) -> Callable[[Callable[[Options, Progress], Given_co]], Command[Options, Given_co]]:
    """Make a function of options one with keywords, whose signature and help list all of them.

    Args:
        kind: Class of the options.
        stages: Stage -> title of its bar; ``OWN_BARS`` where the function takes True for them, None
            where no progress is reported.
        chosen: Field -> class of the options nested there, where the declaration leaves it open.
        usual: Field -> default in Python, where it is not that of the command.
        places: Positional parameter -> its field.
    """
    classes, defaults = chosen or {}, usual or {}

    def made(function: Callable[[Options, Progress], Given_co]) -> Command[Options, Given_co]:
        def run(options: Options, progress: bool | Progress = False) -> Given_co:
            if stages is OWN_BARS:
                return function(options, cast("Progress", progress))
            with shown(progress, stages or {}) as report:
                return function(options, report)

        @wraps(function)
        def called(*args: Any, progress: bool | Progress = False, **keywords: Any) -> Given_co:
            given = dict(zip(places, args, strict=False)) | keywords
            if len(args) > len(places) or len(given) < len(args) + len(keywords):
                raise TypeError(
                    f"{function.__name__}() takes {', '.join(places)} once, then keywords"
                )
            fields = {places.get(name, name): value for name, value in given.items()}
            return run(options_from(function, kind, {**defaults, **fields}, classes), progress)

        names = {field: name for name, field in places.items()}
        found = {names.get(f.name) or keyword_of(f, o): (f, o) for f, o in _flat(kind, classes)}
        first = [_parameter(name, found[name][0]) for name in places]
        first += [] if stages is None else [_PROGRESS]
        _describe(called, first, {name: found[name] for name in (*places, *found)}, defaults)
        called.run = run  # type: ignore[attr-defined] # with it a function is a Command
        return cast("Command[Options, Given_co]", called)

    return made


def takes(kind: type[Any], only: Collection[str]) -> Callable[[Function], Function]:
    """Give a function with ``**options`` the signature and help of some options of a class."""

    def described(function: Function) -> Function:
        own = inspect.signature(function).parameters.values()
        first = [each for each in own if each.kind is not each.VAR_KEYWORD]
        fields = {keyword_of(f, o): (f, o) for f, o in _flat(kind, {}) if f.name in only}
        _describe(function, first, fields, {})
        return function

    return described


def values_from(
    function: Callable[..., Any], kind: type[Any], given: Mapping[str, Any], only: Collection[str]
) -> dict[str, Any]:
    """Return field -> value of some options of a class, as ``options_from`` reads them."""
    rest = dict(given)
    found = {}
    for field, option in _flat(kind, {}):
        if field.name in only:
            values = _taken(field, option, rest)
            found[field.name] = values[0] if values else default_of(field)
    _refuse(function, rest)
    return found


def options_from(
    function: Callable[..., Any],
    kind: type[Options],
    given: Mapping[str, Any],
    chosen: Mapping[str, type[Any]] | None = None,
) -> Options:
    """Make options, and those nested in them, of a function's keywords.

    Text stands for a path, one path for several, any collection for a tuple, and
    ``{1: "muscle"}`` for ``["1=muscle"]``.

    Args:
        function: Whose keywords they are, for messages.
        kind: Class of the options.
        given: Names of fields, or of flags of the command -> value.
        chosen: As for ``command``.

    Raises:
        TypeError: A keyword that is no option, or one that is missing.
        UsageError: What the options refuse.
    """
    rest = dict(given)
    try:
        made = _made(kind, rest, chosen or {})
    except KeyError as missing:
        raise TypeError(f"{function.__name__}() needs {missing}") from None
    _refuse(function, rest)
    return made


def _refuse(function: Callable[..., Any], rest: Mapping[str, Any]) -> None:
    for name in rest:
        raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")


def _made(kind: type[Options], rest: dict[str, Any], chosen: Mapping[str, type[Any]]) -> Options:
    """Make options of the keywords that are theirs, and take these out of ``rest``.

    Raises:
        KeyError: The keyword of an option that has to be given.
    """
    values = {}
    for field, found in declared(kind):
        if not isinstance(found, Option):
            values[field.name] = _made(chosen.get(field.name, found), rest, {})
            continue
        given = _taken(field, found, rest)
        if given:
            values[field.name] = given[0]
        elif default_of(field) is MISSING:
            raise KeyError(keyword_of(field, found))
    return kind(**values)


def _taken(field: Field[Any], found: Option, rest: dict[str, Any]) -> list[Any]:
    """Take an option's value out of the keywords; nothing where it has its default."""
    names = {keyword_of(field, found), field.name, _flag(found)} & rest.keys()
    given = [rest.pop(name) for name in names]
    # No labels are those of the default.
    return [_value(field, found, each) for each in given if each or not found.several]


def _flat(kind: type[Any], chosen: Mapping[str, type[Any]]) -> Iterator[Declared]:
    for field, found in declared(kind):
        if isinstance(found, Option):
            yield field, found
        else:
            yield from _flat(chosen.get(field.name, found), {})


def _describe(
    function: Callable[..., Any],
    first: Sequence[inspect.Parameter],
    fields: Mapping[str, Declared],
    defaults: Mapping[str, Any],
) -> None:
    """Give a function the signature that it has in effect, and a help that explains its options."""
    known = {each.name for each in first}
    rest = [_parameter(n, f, defaults) for n, (f, _) in fields.items() if n not in known]
    function.__signature__ = inspect.Signature([*first, *rest])  # type: ignore[attr-defined]
    lines = [inspect.getdoc(function) or "", "", "Options:"]
    for name, (field, found) in fields.items():
        words = found.help.replace("{default}", default_text(default_of(field)))
        if _is_switch(field, found) and found.flag.startswith("--no-"):
            words = f"if False, {words}"
        lines.append(f"    {name}: {words}")
    function.__doc__ = "\n".join(lines)


def _parameter(
    name: str, field: Field[Any], defaults: Mapping[str, Any] | None = None
) -> inspect.Parameter:
    """Return an option as a parameter: a keyword with its default, a place if there are none."""
    kind = inspect.Parameter
    if defaults is None:
        return kind(name, kind.POSITIONAL_OR_KEYWORD, annotation=field.type)
    default = defaults.get(field.name, default_of(field))
    return kind(
        name,
        kind.KEYWORD_ONLY,
        default=kind.empty if default is MISSING else default,
        annotation=field.type,
    )


def keyword_of(field: Field[Any], found: Option) -> str:
    """Return what an option is called in Python: as its flag, unless the field says more.

    Switches are called as their field, which is true where ``--no-...`` makes it false.
    """
    flag = _flag(found)
    says_more = field.name.startswith(flag) and field.name != f"{flag}_dir"
    return field.name if found.is_positional or _is_switch(field, found) or says_more else flag


def _is_switch(field: Field[Any], found: Option) -> bool:
    return str(field.type).startswith("bool") and not found.choices


def _flag(found: Option) -> str:
    return found.flag.strip("-").replace("-", "_")


def _value(field: Field[Any], found: Option, value: Any) -> Any:
    """Return a value as its option has it."""
    hint = str(field.type)
    if isinstance(value, Mapping):
        value = [f"{label}={meaning}" for label, meaning in value.items()]
    if isinstance(value, str) and found.parse:
        value = found.parse(value)
    if isinstance(value, os.PathLike | str) and "Path" in hint:
        return (Path(value),) if "[" in hint else Path(value)
    if isinstance(value, Collection) and not isinstance(value, str):
        items = [Path(item) for item in value] if "Path" in hint else list(value)
        value = frozenset(items) if "frozenset" in hint else tuple(items)
        return found.convert(value) if found.convert else value
    return found.convert(value) if found.convert and isinstance(value, str) else value
