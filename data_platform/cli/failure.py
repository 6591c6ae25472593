"""How the command line tells of failures and of log messages: sentences without secrets."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from data_platform.errors import DataPlatformError
from data_platform.redact import RedactingFilter, redact_text


class Sentences(click.Group):
    """A group of commands whose failures are one sentence on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        debug = bool(ctx.params.get("debug"))
        ctx.with_resource(_plain_messages(logging.DEBUG if debug else logging.WARNING))
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
            raise
        except Exception as error:
            if debug:
                raise
            raise click.ClickException(sentence(error)) from None


def sentence(error: Exception) -> str:
    """Return one line that says what went wrong and what to do next, without secrets."""
    text = redact_text(" ".join(str(error).split()))
    if isinstance(error, DataPlatformError):
        return text
    return f"{type(error).__name__}: {text or 'no message'}. Run it again with `data-platform --debug …` to see where."


@contextmanager
def _plain_messages(level: int) -> Iterator[None]:
    """Let log messages and warnings of this run go to stderr as plain lines, redacted."""
    root, handler = logging.getLogger(), logging.StreamHandler()
    handler.setLevel(level)  # a library that sets its own logger's level passes the root's
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    secrets = RedactingFilter()
    # On the handler too: a logger's filter does not see what its children pass up.
    handler.addFilter(secrets)
    root.addFilter(secrets)
    root.addHandler(handler)
    before, shown = root.level, warnings.showwarning
    root.setLevel(level)
    warnings.showwarning = _show_warning
    try:
        yield
    finally:
        warnings.showwarning = shown
        root.setLevel(before)
        root.removeHandler(handler)
        root.removeFilter(secrets)


def _show_warning(  # noqa: PLR0917 - the signature is that of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"Warning: {redact_text(str(message))}", file=file or sys.stderr)
