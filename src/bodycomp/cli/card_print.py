"""A model's card in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bodycomp.json_file import json_text
from bodycomp.report.model_card_numbers import CardTable
from bodycomp.report.model_card_view import CardSection, CardView

INDENT = (0, 0, 0, 2)


def print_json(cards: Sequence[dict[str, Any]]) -> None:
    """Print one card as an object, a pair's as a list."""
    content = cards[0] if len(cards) == 1 else list(cards)
    sys.stdout.write(json_text(content))


def print_cards(views: Sequence[CardView], page: Path | None) -> None:
    """Print cards one below the other, and where their page is."""
    console = Console(highlight=False, emoji=False, markup=False)
    for view in views:
        console.print(Rule(Text(f" {view.title} ", "bold"), align="left", style="dim"))
        console.print(Text(f"{view.subtitle}; digest {view.digest}", "dim"))
        console.print(Text(view.notice, "bold yellow"))
        console.print()
        for tile in view.tiles:
            console.print(Text.assemble((f"{tile.value:>9}", "bold"), f"  {tile.label}"))
        for section in view.sections:
            _print_section(console, section)
        console.print()
    if page is not None:
        console.print(f"the page is {page}", soft_wrap=True)


def _print_section(console: Console, section: CardSection) -> None:
    console.print()
    console.print(Text(section.title, "bold" if section.is_stated else "bold dim"))
    for paragraph in section.paragraphs:
        console.print(Padding(Text(paragraph, "" if section.is_stated else "dim"), INDENT))
    if section.entries:
        entries = Table.grid(padding=(0, 1))
        for entry in section.entries:
            entries.add_row("-", Text(entry))
        console.print(Padding(entries, INDENT))
    for number, table in enumerate(section.tables):
        if number:
            console.print()
        _print_table(console, table)
    if section.facts:
        facts = Table.grid(padding=(0, 2))
        for name, value in section.facts:
            facts.add_row(Text(name, "dim"), Text(value, overflow="fold"))
        console.print(Padding(facts, INDENT))


def _print_table(console: Console, table: CardTable) -> None:
    if table.title:
        console.print(Padding(Text(table.title, "italic"), INDENT))
    if table.about:
        console.print(Padding(Text(table.about, "dim"), INDENT))
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for number, column in enumerate(table.columns):
        cells = [row[number] for row in table.rows]
        is_text = number == 0 or any(len(cell) > 16 and " " in cell for cell in cells)
        shown.add_column(
            Text(column, "dim"), justify="left" if is_text else "right", overflow="fold"
        )
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    console.print(Padding(shown, INDENT))
    for note in table.notes:
        console.print(Padding(Text(note, "dim"), INDENT))
