"""What the monthly report says and shows, as HTML and as PDF."""

from __future__ import annotations

import re
import zlib
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import ReportUnavailable
from populate.adoption import report as reports
from populate.adoption.html import html_of
from populate.adoption.pdf import pdf_of
from populate.adoption.publish import PublishedAdoption, shown_organisation
from populate.adoption.report import HIDDEN, Report, report_of, volume
from populate.adoption.rows import interval
from populate.adoption.writing import month_in, write_report

HOSTILE = '<script>alert(1)</script>"><img src=https://evil.example/x onerror=alert(1)> $R&D$ \u202etxt.exe 試験'
FIGURES = {
    "window_days": 30, "people_count": 60, "reader_count": 12, "producer_count": 7, "read_count": 1200,
    "service_read_count": 3, "foreign_read_count": 800, "cross_read_count": 400, "automatic_entries": 1500,
    "manual_entries": 2, "file_count": 90, "bytes_logical": 5_000_000, "bytes_distinct": 3_500_000,
    "content_count": 1000, "content_backed_up": 999, "audit_read_count": None, "captured_read_count": None,
    "ask_count": 2, "answered_ask_count": 1, "question_count": 5, "answered_question_count": 3,
}  # fmt: skip


def published(day: date, **changes: Any) -> PublishedAdoption:
    figures = FIGURES | interval([1.0, 2.0, 3.0, 2.0, 2.0, 2.0]) | changes
    department = {
        "department": HOSTILE, "people": 9, "readers": 6, "producers": 2, "read_count": 700, "cross_received": 300,
        "cross_given": 200, "audit_read_count": None, "captured_read_count": None, "coverage": None,
    }  # fmt: skip
    sources = [{"source_system": f"nfs/{n}", "source_kind": "file", "readers": 9, "read_count": 600} for n in "ab"]
    return PublishedAdoption(4, day, shown_organisation(figures), [department], sources, 2)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Report:
    return report(monkeypatch, published(date(2026, 10, 31), reader_count=10), published(date(2026, 11, 30)))


def report(monkeypatch: pytest.MonkeyPatch, *months: PublishedAdoption) -> Report:
    monkeypatch.setattr(reports, "_snapshot", lambda month: 4)
    monkeypatch.setattr(reports, "history", lambda number: list(months))
    monkeypatch.setattr(reports, "_silos", lambda number: "35 % of working ties cross departments.")
    return report_of()


def figure(made: Report, label: str) -> tuple[str, str]:
    return next((value, note.replace("\u00a0", " ")) for name, value, note in made.figures if name == label)


def test_what_it_says(made: Report) -> None:
    assert made.title == "How our data is shared: November 2026"
    assert made.subtitle == "The 30 days to 30 November 2026"
    assert made.sentences[0] == "12 people read shared data 1,200 times, and 7 had files that somebody else read."
    assert made.sentences[1].startswith("50\u00a0% of the reads of somebody else's files")
    assert figure(made, "people who read") == ("12", "of 60 in the directory, +2 since October")
    assert figure(made, "reads") == ("1,200", "as in October")
    assert figure(made, "of logged reads captured") == (HIDDEN, "no source's own log to compare with")
    assert figure(made, "of contents backed up") == ("99.9\u00a0%", "1,000 contents")  # not all of them
    assert figure(made, "in duplicates") == ("1.5 MB", "of 5.0 MB in 90 files")
    assert figure(made, "questions answered") == ("4", "of 5 about duplicates and 2 to colleagues")
    assert figure(made, "hours saved a week") == ("2.0", "median as 6 people tell, 95 % interval 1.0 to 3.0")
    assert made.tables[0].note == "2 departments are not shown, so that nobody can be told."


def test_what_must_not_be_shown_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    few = published(date(2026, 11, 30), reader_count=4, **interval([1.0] * 4))
    made = report(monkeypatch, few)
    assert made.sentences[0].startswith("Fewer than five people")
    assert [figure(made, label)[0] for label in ("people who read", "reads", "hours saved a week")] == [HIDDEN] * 3
    assert "Fewer than five" in html_of(made)
    assert len(report(monkeypatch, few, few).charts) == 3  # with a gap


class Page(HTMLParser):
    """What a browser would make of it: elements, addresses, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_html_asks_for_nothing_and_runs_nothing(made: Report) -> None:
    page = Page(html_of(made))
    assert set(page.tags) >= {"h1", "table", "img"}
    assert not {"script", "link", "iframe", "object", "base", "a"} & set(page.tags)
    assert page.handlers == []
    assert page.addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    assert '<script>alert(1)</script>"><img' in page.text  # as text
    assert "\u202e" not in page.text
    assert "default-src 'none'" in html_of(made).replace("&#x27;", "'")


def test_charts_say_in_words_what_they_show(made: Report) -> None:
    months, departments, sources = made.charts
    assert "Nov 2026: 12 read, 7 had files that others read" in months.alternative
    assert "700 reads, 300 of files of other departments" in departments.alternative
    assert sources.alternative == "nfs/a: 600 reads; nfs/b: 600 reads"
    assert b"<script" not in departments.svg
    assert all(chart.png.startswith(b"\x89PNG") for chart in made.charts)


def test_the_same_month_is_the_same_file(made: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    again = report(monkeypatch, published(date(2026, 10, 31), reader_count=10), published(date(2026, 11, 30)))
    assert html_of(again) == html_of(made)
    pdf = pdf_of(made)
    assert pdf == pdf_of(again)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 2
    assert zlib.crc32(pdf) != zlib.crc32(pdf_of(report(monkeypatch, published(date(2026, 11, 30)))))


def test_files_are_whole_or_not_there(made: Report, tmp_path: Path) -> None:
    assert write_report(made, tmp_path / "r.PDF").read_bytes().startswith(b"%PDF-")
    assert write_report(made, tmp_path / "r.html").read_text(encoding="utf-8") == html_of(made)
    with pytest.raises(ReportUnavailable, match="neither"):
        write_report(made, tmp_path / "r.docx")
    with pytest.raises(ReportUnavailable, match="cannot be written"):
        write_report(made, tmp_path / "missing" / "r.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.PDF", "r.html"]
    with pytest.raises(ReportUnavailable, match="no month"):
        month_in("November")
    assert month_in("2026-11") == date(2026, 11, 1)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (4_210_000_000_000, "4.2 TB"), (5e18, "5,000.0 PB")],
)
def test_volumes(count: float, expected: str) -> None:
    assert volume(count) == expected
