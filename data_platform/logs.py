"""How commands and services log to standard error: as lines of text, or as JSON, and without secrets.

A JSON line has ``time`` (UTC), ``level``, ``logger``, ``message``, ``host`` and ``pid``; a line
about a job also ``table``, ``key``, ``outcome`` and ``seconds``; one about an error the
traceback, as ``exception``.
"""

from __future__ import annotations

import json
import logging
import platform
from datetime import UTC, datetime

from data_platform.redact import RedactingFilter, redact_text
from data_platform.settings import LogSettings

FIELDS = ("table", "key", "outcome", "seconds")
"""What a message may bring along, as ``extra`` of `logging`."""


class JsonLines(logging.Formatter):
    """Makes an object of each record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what `RedactingFilter` does not see of a record is redacted here."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact_text(record.getMessage()),
            "host": platform.node(),
            "pid": record.process,
        }
        told |= {name: _redacted(value) for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            told["exception"] = redact_text(record.exc_text)
        return json.dumps(told, default=str, ensure_ascii=False)


def _redacted(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _redacted(inner) for name, inner in value.items()}
    return value if isinstance(value, int | float) else redact_text(str(value))


def handler(settings: LogSettings, text: str) -> logging.Handler:
    """Return a handler that writes to standard error as the settings say; `text` is the format of plain lines."""
    made = logging.StreamHandler()
    made.setFormatter(JsonLines() if settings.format == "json" else logging.Formatter(text))
    # On the handler: the filter of a logger does not see what its children pass up.
    made.addFilter(RedactingFilter())
    return made


def log_to_stderr(settings: LogSettings, name: str) -> None:
    """Let a service's process log for as long as it lives; `name` begins its plain lines."""
    root = logging.getLogger()
    if not root.handlers:
        made = handler(settings, f"{name}: %(message)s")
        made.setLevel(settings.level.upper())  # a library that sets its own logger's level passes the root's
        root.addHandler(made)
        root.addFilter(RedactingFilter())
        root.setLevel(settings.level.upper())
