"""How the command line tells of failures and of log messages: sentences without secrets."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from data_platform.cli.collecting import collected_seldom
from data_platform.errors import DataPlatformError, SettingsError
from data_platform.extras import missing_extra
from data_platform.redact import RedactingFilter, redact_text

_log = logging.getLogger("data_platform.cli")


class Sentences(click.Group):
    """A group of commands whose failures are one sentence on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        debug = bool(ctx.params.get("debug"))
        ctx.with_resource(collected_seldom())
        as_json = ctx.with_resource(_messages(debug))
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
            raise
        except Exception as error:
            if debug:
                raise
            if as_json:
                _log.error("%s", sentence(error))
                ctx.exit(1)
            raise click.ClickException(sentence(error)) from None


def sentence(error: Exception) -> str:
    """Return one line that says what went wrong and what to do next, without secrets."""
    error = missing_extra(error) or error
    text = redact_text(" ".join(str(error).split()))
    if isinstance(error, DataPlatformError):
        return text
    if _is_of_rights(error):
        return (
            f"This login may not do that in the database ({text}). Use one of a role that may: `retain`, `erase` and "
            "`seal` are a steward's, `deploy` is its owner's, and what `deploy` prints tells of the others."
        )
    return f"{type(error).__name__}: {text or 'no message'}. Run it again with `data-platform --debug …` to see where."


def _is_of_rights(error: Exception) -> bool:
    kind = type(error)  # DataJoint is not imported to fail
    return kind.__name__ == "AccessError" and kind.__module__.startswith("datajoint.")


@contextmanager
def _messages(debug: bool) -> Iterator[bool]:
    """Let log messages and warnings of this run go to stderr, redacted; tell whether as JSON."""
    from data_platform.logs import handler
    from data_platform.settings import LogSettings, load

    try:
        settings = load().log
    except SettingsError:  # the command itself will say so, if it needs any
        settings = LogSettings()
    root, made = logging.getLogger(), handler(settings, "%(levelname)s: %(message)s")
    level = logging.DEBUG if debug else logging.getLevelNamesMapping()[settings.level.upper()]
    made.setLevel(level)  # a library that sets its own logger's level passes the root's
    secrets = RedactingFilter()
    root.addFilter(secrets)
    root.addHandler(made)
    before, shown = root.level, warnings.showwarning
    root.setLevel(level)
    show: Callable[..., None] = _log_warning if settings.format == "json" else _show_warning
    warnings.showwarning = show
    try:
        yield settings.format == "json"
    finally:
        warnings.showwarning = shown
        root.setLevel(before)
        root.removeHandler(made)
        root.removeFilter(secrets)


def _log_warning(message: Warning | str, *place: object) -> None:
    logging.getLogger("py.warnings").warning("%s", message)


def _show_warning(  # noqa: PLR0917 - the signature is that of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"Warning: {redact_text(str(message))}", file=file or sys.stderr)
