"""The report as one HTML file that asks for nothing else: no script, no font, no request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape

from populate.adoption.report import Figure, Report, Table

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: #24292f; margin: 0;
  background: #fff; }
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; }
.subtitle, .note, footer { color: #57606a; }
.subtitle { margin: .2rem 0 1.2rem; }
.sentences { font-size: 1.05rem; border-left: 4px solid #1f5a94; padding: .1rem 0 .1rem 1rem; }
.sentences p { margin: .3rem 0; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 1.5rem 0 0; padding: 0; }
.figures div { border: 1px solid #d0d7de; border-radius: 8px; padding: .7rem .8rem; }
.figures b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figures span { display: block; font-weight: 600; font-size: .85rem; }
.figures small { color: #57606a; display: block; line-height: 1.3; margin-top: .2rem; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: right; padding: .35rem .5rem; border-bottom: 1px solid #e6e9ed;
  font-variant-numeric: tabular-nums; }
th { vertical-align: bottom; color: #57606a; font-weight: 600; }
th:first-child, td:first-child { text-align: left; min-width: 9rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.note, footer { font-size: .85rem; }
footer { border-top: 1px solid #d0d7de; margin-top: 2.5rem; padding-top: .8rem; }
@media (max-width: 44rem) { .figures { grid-template-columns: repeat(2, 1fr); } }
@media print { main { padding: 0; } section { break-inside: avoid; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html_of(report: Report) -> str:
    """Return the report as an HTML document; all text is escaped."""
    return "\n".join(_document(report)) + "\n"


def _document(report: Report) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>"
    yield f'<h1>{escape(report.title)}</h1>\n<p class="subtitle">{escape(report.subtitle)}</p>'
    yield '<div class="sentences">'
    yield from (f"<p>{escape(sentence)}</p>" for sentence in report.sentences)
    yield '</div>\n<div class="figures">'
    yield from map(_figure, report.figures)
    yield "</div>"
    for chart in report.charts:
        data = b64encode(chart.svg).decode()
        yield f"<section>\n<h2>{escape(chart.title)}</h2>"
        yield f'<img alt="{escape(chart.alternative)}" src="data:image/svg+xml;base64,{data}">\n</section>'
    for table in report.tables:
        yield from _table(table)
    yield "<footer>"
    yield from (f"<p>{escape(note)}</p>" for note in report.notes)
    yield "</footer>\n</main>\n</body>\n</html>"


def _figure(figure: Figure) -> str:
    return (
        f"<div><b>{escape(figure.value)}</b><span>{escape(figure.label)}</span>"
        f"<small>{escape(figure.note.strip())}</small></div>"
    )


def _table(table: Table) -> Iterator[str]:
    yield f'<section>\n<h2>{escape(table.title)}</h2>\n<div class="wide">\n<table>'
    yield f"<thead>{_row('th', table.header)}</thead>\n<tbody>"
    yield from (_row("td", row) for row in table.rows)
    yield "</tbody>\n</table>\n</div>"
    if table.note:
        yield f'<p class="note">{escape(table.note)}</p>'
    yield "</section>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
