"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import click


def json_option(function: Callable[..., object]) -> Callable[..., object]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def print_json(value: object) -> None:
    """Print `value` as indented JSON; what JSON does not know is printed as its text."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_pairs(values: Mapping[str, object]) -> None:
    """Print names and values in two columns, numbers to the right."""
    for line in pairs(values):
        click.echo(line)


def pairs(values: Mapping[str, object]) -> list[str]:
    """Return the lines of `print_pairs`."""
    names = [name.replace("_", " ") for name in values]
    texts = [f"{value:,}" if isinstance(value, int) else printable(str(value)) for value in values.values()]
    left, right = max(map(len, names), default=0), max(map(len, texts), default=0)
    return [f"{name:<{left}}  {text:>{right}}" for name, text in zip(names, texts, strict=True)]


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` under `header`, each column as wide as its widest value."""
    for line in table(header, rows):
        click.echo(line)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of `print_table`."""
    lines = [list(header), *([printable(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        "  ".join(f"{value:<{width}}" for value, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]


def printable(text: str) -> str:
    """Return text without characters that would steer a terminal: names of files come from anybody."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
