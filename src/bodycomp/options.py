"""Options are declared once, beside the fields of the frozen values that hold them.

Of a declaration such as this one the command line's parser, the check of the value, what run
manifests record and the words of a command are made:

    epochs: int = option(100, "--epochs -e", help="epoch number to end at (default {default})")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from bodycomp.errors import UsageError

_OPTION: Final = "option"
_NESTED: Final = "nested"
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Record(Enum):
    """What a run records of an option."""

    SETTING = "results depend on it: it stays when a run is resumed"
    FREE = "it may change when a run is resumed"
    LOCAL = "it says where things lie or who is meant, or is about this start alone"
    NOTHING = "it is not recorded"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line.

    Attributes:
        names: Its flags, the long one first, such as ``--epochs -e``; a positional argument has
            none, and the name by which the help calls it.
        help: What it does; ``{default}`` stands for the field's default.
        group: Heading in the help that this option and those after it stand under; empty for that
            of the option before.
        metavar: Name of its value; of several, names with blanks between them.
        parse: Makes a value of a text, where the field's type does not say how; raises UsageError.
        several: Takes several texts, though the field is no tuple; ``convert`` makes the field.
        convert: Makes the field's value of what was parsed; raises UsageError.
        repeat: Given once for each of several values.
        at_least, at_most: Ends of the range, that belong to it.
        positive: More than 0, and finite.
    """

    names: str
    help: str
    group: str = ""
    metavar: str = ""
    choices: tuple[Any, ...] = ()
    parse: Callable[[str], Any] | None = None
    several: bool = False
    convert: Callable[[Any], Any] | None = None
    repeat: bool = False
    at_least: float | None = None
    at_most: float | None = None
    positive: bool = False
    record: Record = Record.SETTING

    @property
    def flag(self) -> str:
        """The long flag, or what the help calls a positional argument."""
        return self.names.split()[0]

    @property
    def is_positional(self) -> bool:
        """Whether it has no flag."""
        return not self.names.startswith("-")


def _declaring(make: Callable[_P, Option]) -> Callable[_P, Mapping[str, Option]]:
    def declare(*args: _P.args, **kwargs: _P.kwargs) -> Mapping[str, Option]:
        return {_OPTION: make(*args, **kwargs)}

    return declare


def _with_default(make: Callable[_P, Option]) -> Callable[Concatenate[_T, _P], _T]:
    def option(default: _T, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        metadata = {_OPTION: make(*args, **kwargs)}
        return dataclasses.field(default=default, metadata=metadata)

    return option


option: Final = _with_default(Option)
"""Makes a field of its default and of what ``Option`` takes."""

declare: Final = _declaring(Option)
"""The same for a field that has to be given: metadata of ``dataclasses.field``."""


def option_of(kind: type[Any], name: str, *, group: str | None = None) -> Any:
    """Make a field as another class has it: the same option with the same default.

    ``group`` is the heading that it gets in the help, where that is not its own.
    """
    (of,) = (field for field in dataclasses.fields(kind) if field.name == name)
    found: Option = of.metadata[_OPTION]
    own = found if group is None else dataclasses.replace(found, group=group)
    return dataclasses.field(
        default=of.default, default_factory=of.default_factory, metadata={_OPTION: own}
    )


def nested(kind: type[Any]) -> Mapping[str, type[Any]]:
    """Declare that the options of a field's class are options of this one, too."""
    return {_NESTED: kind}


def declared(kind: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], Option | type[Any]]]:
    """Yield the fields of a class that are options, each with its option or its own class."""
    for field in dataclasses.fields(kind):
        found = field.metadata.get(_OPTION) or field.metadata.get(_NESTED)
        if found is not None:
            yield field, found


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return a field's default, ``MISSING`` if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def default_text(default: Any) -> str:
    """Return a default as one types it.

    >>> default_text((16, 0.5))
    '16 0.5'
    """
    shown = default if isinstance(default, tuple | frozenset) else (default,)
    return " ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in shown)


def check_options(options: Any) -> None:
    """Check each value, while it is made, for declared choices and ranges; None is always one.

    Raises:
        UsageError: Names the option, what was expected and what was found.
    """
    for field, found in declared(type(options)):
        value = getattr(options, field.name)
        if isinstance(found, Option) and value is not None:
            _check_range(found, value)
            if found.choices and found.convert is None:
                _check_choices(found, value)


def _check_choices(found: Option, value: Any) -> None:
    for each in value if isinstance(value, tuple | frozenset) else (value,):
        if each not in found.choices:
            raise UsageError(
                f"expected {found.flag} to be one of {', '.join(map(str, found.choices))}, "
                f"found {each!r}"
            )


def _check_range(found: Option, value: Any) -> None:
    low, high = found.at_least, found.at_most
    if found.positive and not 0 < value < float("inf"):
        raise UsageError(f"expected a positive {found.flag}, found {value}")
    if low is not None and high is not None and not low <= value <= high:
        raise UsageError(f"expected {found.flag} from {low} to {high}, found {value}")
    if low is not None and not low <= value < float("inf"):
        raise UsageError(f"expected {found.flag} of at least {low}, found {value}")


def recorded(options: Any, *records: Record) -> dict[str, Any]:
    """Return field -> JSON-ready value of the options that are recorded so."""
    return {
        field.name: plain(getattr(options, field.name))
        for field, found in declared(type(options))
        if isinstance(found, Option) and found.record in records
    }


def plain(value: Any) -> Any:
    """Return a value as JSON has it: paths as text, sets in order.

    >>> plain({"out": Path("a"), "levels": ("L3",)})
    {'out': 'a', 'levels': ['L3']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(plain(each) for each in value)
    return str(value) if isinstance(value, Path | str) else value


def words_of(options: _T, usual: _T) -> Iterator[str]:
    """Yield the words of a command that make ``options`` of ``usual``, without positional ones."""
    for field, found in declared(type(options)):
        value = getattr(options, field.name)
        if not isinstance(found, Option) or found.is_positional:
            continue
        if value == getattr(usual, field.name):
            continue
        if isinstance(value, bool):
            yield found.flag
        elif found.repeat:
            for each in value:
                yield from (found.flag, str(each))
        else:
            yield found.flag
            yield from map(str, value if isinstance(value, tuple | frozenset) else (value,))
