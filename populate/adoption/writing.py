"""The report as a file."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from data_platform.errors import ReportUnavailable
from populate.adoption.report import Report

KINDS = (".html", ".pdf")


def month_in(text: str) -> date:
    """Return the first day of a month written as 2026-11.

    Raises
    ------
    ReportUnavailable
        If it is none.
    """
    try:
        return datetime.strptime(text.strip(), "%Y-%m").date()
    except ValueError as error:
        raise ReportUnavailable(f"{text!r} is no month. Write it as 2026-11.") from error


def write_report(report: Report, to: Path) -> Path:
    """Write the report as HTML or PDF, as the name of the file says, whole or not at all; return its path.

    Raises
    ------
    ReportUnavailable
        If the name says neither, or the file cannot be written.
    """
    if to.suffix.lower() not in KINDS:
        raise ReportUnavailable(f"{to.name} is neither .html nor .pdf. Name a file that ends so.")
    draft = to.with_name(f".{to.name}.new")
    try:
        draft.write_bytes(rendered(report, to.suffix.lower()))
        draft.replace(to)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ReportUnavailable(f"{to} cannot be written: {error.strerror}. Choose another place.") from error
    return to


def rendered(report: Report, kind: str) -> bytes:
    """Return the report as a file of a kind in `KINDS`."""
    if kind == ".pdf":
        from populate.adoption.pdf import pdf_of  # here: it takes a second to load

        return pdf_of(report)
    from populate.adoption.html import html_of

    return html_of(report).encode()
