"""Shows something again and again: redrawn on a terminal, line by line elsewhere, until Ctrl-C."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence

import click

from data_platform.cli.failure import sentence
from data_platform.errors import DataPlatformError

HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
CLEAR = "\x1b[2J"


def watch(page: Callable[[], Sequence[str]], line: Callable[[], str], seconds: float) -> None:
    """Show `page` on a terminal, else a `line`, every so many seconds; Ctrl-C ends it.

    While the database is away its error is shown instead.
    """
    terminal = sys.stdout.isatty()
    if terminal:
        click.echo(CLEAR, nl=False)
    try:
        while True:
            click.echo(_frame(_tried(page)) if terminal else "\n".join(_tried(lambda: [line()])), nl=not terminal)
            time.sleep(seconds)
    except KeyboardInterrupt:
        if terminal:
            click.echo()


def _tried(page: Callable[[], Sequence[str]]) -> Sequence[str]:
    try:
        return page()
    except DataPlatformError as error:
        return [sentence(error)]


def _frame(lines: Sequence[str]) -> str:
    """Return what draws the lines over the last ones, as far as they fit, without flicker."""
    width, height = shutil.get_terminal_size()
    shown = [line[:width] for line in lines[: height - 1]]
    return HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in shown) + CLEAR_REST
