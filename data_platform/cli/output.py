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


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values in two columns, numbers to the right."""
    names = [name.replace("_", " ") for name in pairs]
    values = [f"{value:,}" if isinstance(value, int) else str(value) for value in pairs.values()]
    left, right = max(map(len, names), default=0), max(map(len, values), default=0)
    for name, value in zip(names, values, strict=True):
        click.echo(f"{name:<{left}}  {value:>{right}}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` under `header`, each column as wide as its widest value."""
    lines = [list(header), *([*row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        click.echo("  ".join(f"{value:<{width}}" for value, width in zip(line, widths, strict=True)).rstrip())
