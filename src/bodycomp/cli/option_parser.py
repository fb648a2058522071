"""Commands: from declared options to an argparse parser, and from what it parsed to their value."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from bodycomp.errors import UsageError
from bodycomp.options import Option, declared, default_of, default_text

T = TypeVar("T")
Field = dataclasses.Field[Any]
Group = argparse._ActionsContainer  # noqa: SLF001 - a parser, or one group of its options

PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {"int": int, "float": float, "Path": Path}
"""How texts become values, by the name of the type; others stay texts."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command takes and does.

    Attributes:
        options: Class of its options; of several, each is made of what is its own.
        run: Does the work with them, prints what came of it, and returns the exit code.
        description, epilog: What its help says above and below the options.
        chosen: Field -> class of the options nested there, where the declaration leaves it open.
    """

    options: tuple[type[Any], ...]
    run: Callable[..., int]
    description: str
    epilog: str = ""
    chosen: Mapping[str, type[Any]] = field(default_factory=dict)

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Make the parser of this command."""
        parser.description, parser.epilog = self.description, self.epilog
        add_options(parser, *self.options, **self.chosen)
        parser.set_defaults(run=self._run)

    def _run(self, arguments: argparse.Namespace) -> int:
        return self.run(*(read_options(arguments, kind, **self.chosen) for kind in self.options))


@dataclass(frozen=True, kw_only=True)
class CommandGroup:
    """Commands below one: name -> its line in the list of them, and the command."""

    commands: Mapping[str, tuple[str, Command]]
    title: str
    metavar: str
    description: str = ""
    epilog: str = ""

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Make the parsers of these commands."""
        parser.description, parser.epilog = self.description, self.epilog
        group = parser.add_subparsers(title=self.title, metavar=self.metavar, required=True)
        for name, (about, command) in self.commands.items():
            kind = argparse.RawDescriptionHelpFormatter
            command.add_to(group.add_parser(name, help=about, formatter_class=kind))


def add_options(
    parser: argparse.ArgumentParser, *kinds: type[Any], **chosen: type[Any]
) -> dict[str, Group]:
    """Add all options of dataclasses and of those nested in them; return heading -> group.

    ``chosen`` is as for ``Command``; the group of the empty heading is the parser.
    """
    builder = _Builder({"": parser}, chosen)
    for kind in kinds:
        builder.add_all(kind)
    for add in builder.last:
        add()
    return builder.groups


@dataclass
class _Builder:
    """Adds options to groups; ``last`` are positional arguments that take what the others leave."""

    groups: dict[str, Group]
    chosen: Mapping[str, type[Any]]
    last: list[Callable[[], None]] = field(default_factory=list)

    def add_all(self, kind: type[Any], prefix: str = "", title: str = "") -> None:
        for each, found in declared(kind):
            place = prefix + each.name
            if not isinstance(found, Option):
                self.add_all(self.chosen.get(place, found), f"{place}.", title)
                continue
            title = found.group or title
            if title not in self.groups:
                self.groups[title] = self.groups[""].add_argument_group(title)
            add = partial(_add, self.groups[title], each, found, place)
            if found.is_positional and _shape(each, found)[1]:
                self.last.append(add)
            else:
                add()


def _add(group: Group, of: Field, found: Option, place: str) -> None:
    item, count = _shape(of, found)
    default = default_of(of)
    text = found.help.replace("{default}", default_text(default)).replace("%", "%%")
    how: dict[str, Any] = {"help": text, "default": argparse.SUPPRESS}
    names = found.names.split()
    if item == "bool" and not found.choices:
        turns_off = default is True or (default is None and found.flag.startswith("--no"))
        group.add_argument(*names, dest=place, action="store_const", const=not turns_off, **how)
        return
    how["type"] = _parser_of(found.parse or PARSERS.get(item, str))
    how["choices"] = found.choices or None
    if found.is_positional:
        if count:
            how |= {"nargs": "*", "default": ()}
        elif default is not MISSING:
            how |= {"nargs": "?", "default": default}
        group.add_argument(place, metavar=found.names, **how)
        return
    how |= {"action": "append"} if found.repeat else {"nargs": count}
    how |= {"metavar": _metavar(found, count), "required": default is MISSING}
    group.add_argument(*names, dest=place, **how)


def _shape(of: Field, found: Option) -> tuple[str, int | str | None]:
    """Return the name of a field's type, and how many values it takes as argparse has it."""
    text = str(of.type).removesuffix(" | None")
    inside = re.fullmatch(r"(tuple|frozenset)\[(.+)\]", text)
    if inside is None:
        return text, "+" if found.several else None
    items = inside[2].split(", ")
    return items[0], len(items) if inside[1] == "tuple" and "..." not in items else "+"


def _metavar(found: Option, count: int | str | None) -> str | tuple[str, ...] | None:
    if isinstance(count, int):
        return tuple(found.metavar.split())
    if found.choices and not found.metavar:
        return None  # argparse shows the choices
    return found.metavar or found.flag.lstrip("-").replace("-", "_").upper()


def _parser_of(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    if isinstance(parse, type):  # argparse names it in its messages
        return parse

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed


def read_options(arguments: argparse.Namespace, kind: type[T], **chosen: type[Any]) -> T:
    """Return the options that a parser of ``add_options`` has read.

    Raises:
        UsageError: A value cannot be used, or options do not go together.
    """
    return _read(vars(arguments), kind, "", chosen)


def _read(
    parsed: Mapping[str, Any], kind: type[T], prefix: str, chosen: Mapping[str, type[Any]]
) -> T:
    values = {}
    for each, found in declared(kind):
        place = prefix + each.name
        if not isinstance(found, Option):
            values[each.name] = _read(parsed, chosen.get(each.name, found), f"{place}.", {})
        elif place in parsed:
            value = parsed[place]
            if isinstance(value, list):
                value = frozenset(value) if "frozenset" in str(each.type) else tuple(value)
            values[each.name] = found.convert(value) if found.convert else value
    return kind(**values)
