"""Parsers made of declared options, and the options read from what they parsed."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bodycomp.cli.option_parser import add_options, read_options
from bodycomp.errors import UsageError
from bodycomp.options import Record, check_options, declare, nested, option, recorded, words_of


def _even(text: str) -> int:
    if int(text) % 2:
        raise UsageError(f"expected an even number, found {text}")
    return int(text)


@dataclass(frozen=True)
class Inner:
    size: int = option(4, "--size", parse=_even, at_least=0, help="even (default {default})")


@dataclass(frozen=True)
class Options:
    out: Path = field(metadata=declare("OUT", help="folder"))
    inputs: tuple[Path, ...] = option((), "INPUT", help="files")
    name: str = option("a b", "--name -n", group="first", record=Record.FREE, help="{default}, 5 %")
    kinds: frozenset[str] = option(frozenset(), "--kinds", choices=("x", "y"), help="kinds")
    shares: tuple[float, float] = option((0.5, 1.0), "--shares", metavar="A B", help="{default}")
    drawn: bool = option(True, "--no-drawing", group="second", help="draw nothing")
    shown: bool | None = option(None, "--no-show", help="show nothing (default: as before)")
    plain: bool | None = option(None, "--plain", help="plain (default: as before)")
    tags: tuple[str, ...] = option((), "--tag", repeat=True, record=Record.LOCAL, help="tags")
    inner: Inner = field(default_factory=Inner, metadata=nested(Inner))
    hidden: int = 3

    def __post_init__(self) -> None:
        check_options(self)


def parse(*words: str) -> Options:
    parser = argparse.ArgumentParser()
    add_options(parser, Options)
    return read_options(parser.parse_args(words), Options)


def test_what_is_not_given_has_the_default_of_its_field():
    assert parse("out") == Options(Path("out"))


def test_every_kind_of_option_reaches_its_field():
    words = "out in1 in2 -n z --kinds y --shares 1 2 --no-drawing --no-show --plain --size 6"
    assert parse(*words.split(), "--tag", "p", "--tag", "q") == Options(
        out=Path("out"),
        inputs=(Path("in1"), Path("in2")),
        name="z",
        kinds=frozenset({"y"}),
        shares=(1.0, 2.0),
        drawn=False,
        shown=False,
        plain=True,
        tags=("p", "q"),
        inner=Inner(6),
    )


def test_the_help_has_groups_and_defaults():
    parser = argparse.ArgumentParser()
    assert list(add_options(parser, Options)) == ["", "first", "second"]
    text = " ".join(parser.format_help().split())
    assert "first: --name" in text
    assert "-n NAME a b, 5 % --kinds {x,y}" in text
    assert "--shares A B 0.5 1 second:" in text
    assert "--size SIZE even (default 4)" in text


@pytest.mark.parametrize("words", [["out", "--size", "3"], ["out", "--kinds", "z"], []])
def test_words_that_cannot_be_used_end_the_command(words, capsys):
    with pytest.raises(SystemExit) as end:
        parse(*words)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": frozenset({"z"})}, "expected --kinds to be one of x, y, found 'z'"),
        ({"inner": -2}, "expected --size of at least 0, found -2"),
    ],
)
def test_values_given_in_python_are_checked_like_words(changes, message):
    with pytest.raises(UsageError, match=message):
        check_options(Inner(changes["inner"]) if "inner" in changes else Options(Path(), **changes))


def test_a_run_records_what_the_declaration_says():
    options = Options(Path("out"), tags=("p",), kinds=frozenset("yx"))
    assert recorded(options, Record.FREE, Record.LOCAL) == {"name": "a b", "tags": ["p"]}
    assert recorded(options, Record.SETTING)["kinds"] == ["x", "y"]


def test_words_of_options_give_them_again():
    options = Options(Path("out"), name="c", drawn=False, tags=("p", "q"), shares=(1.0, 3.0))
    assert parse("out", *words_of(options, Options(Path("out")))) == options
    assert list(words_of(dataclasses.replace(options, tags=()), options)) == []
