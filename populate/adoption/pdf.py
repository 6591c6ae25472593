"""The report as PDF, on A4; text in the font that matplotlib ships, so that names in most alphabets are right."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace
from matplotlib import get_data_path
from PIL import Image

from populate.adoption.charts import Chart
from populate.adoption.report import Figure, Report, Table

INK, GREY, LINE, BLUE = (36, 41, 47), (87, 96, 106), (208, 215, 222), (31, 90, 148)
MARGIN = 18.0  # millimetres, as all lengths here
ACROSS = 4
GAP = 3.0
BOX = 25.0
_DAY_ZERO = datetime(2000, 1, 1, tzinfo=UTC)  # of creation: the same report is the same file

logging.getLogger("fontTools").setLevel(logging.ERROR)


class _Page(FPDF):
    """A4 with page numbers."""

    def __init__(self) -> None:
        super().__init__(format="A4")
        folder = Path(get_data_path()) / "fonts" / "ttf"
        self.add_font("DejaVu", "", folder / "DejaVuSans.ttf")
        self.add_font("DejaVu", "B", folder / "DejaVuSans-Bold.ttf")
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, MARGIN)
        self.set_creation_date(_DAY_ZERO)

    def footer(self) -> None:
        self.set_y(-12)
        self.write_in(8, GREY)
        self.cell(0, 5, str(self.page_no()), align="R")

    def write_in(self, size: float, colour: tuple[int, int, int] = INK, bold: bool = False) -> None:
        """Set how the next text looks."""
        self.set_font("DejaVu", "B" if bold else "", size)
        self.set_text_color(*colour)

    def line_of(self, height: float, text: str) -> None:
        """Write a paragraph."""
        self.multi_cell(0, height, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def heading(self, text: str, needs: float) -> None:
        """Write a heading, on a new page unless as much more fits on this one."""
        if self.will_page_break(needs + 10):
            self.add_page()
        self.ln(4)
        self.write_in(11, bold=True)
        self.line_of(7, text)


def pdf_of(report: Report) -> bytes:
    """Return the report as a PDF document."""
    page = _Page()
    page.set_title(report.title)
    page.set_lang("en")
    page.add_page()
    page.write_in(19, bold=True)
    page.line_of(9, report.title)
    page.write_in(10, GREY)
    page.line_of(6, report.subtitle)
    _sentences(page, report.sentences)
    _figures(page, report.figures)
    for chart in report.charts:
        _chart(page, chart)
    for table in report.tables:
        _table(page, table)
    page.ln(5)
    page.write_in(8, GREY)
    for note in report.notes:
        page.line_of(4.5, note)
    return bytes(page.output())


def _sentences(page: _Page, sentences: list[str]) -> None:
    page.ln(4)
    top = page.get_y()
    page.set_left_margin(MARGIN + 4)
    page.set_x(MARGIN + 4)
    page.write_in(10.5)
    for sentence in sentences:
        page.line_of(6, sentence)
    page.set_left_margin(MARGIN)
    page.set_draw_color(*BLUE)
    page.set_line_width(1)
    page.line(MARGIN, top + 0.5, MARGIN, page.get_y() - 0.5)
    page.set_line_width(0.2)
    page.set_xy(MARGIN, page.get_y() + 4)


def _figures(page: _Page, figures: list[Figure]) -> None:
    width = (page.epw - GAP * (ACROSS - 1)) / ACROSS
    top = page.get_y()
    for place, figure in enumerate(figures):
        across, down = place % ACROSS, place // ACROSS
        x, y = MARGIN + across * (width + GAP), top + down * (BOX + GAP)
        page.set_draw_color(*LINE)
        page.rect(x, y, width, BOX, round_corners=True, corner_radius=1.5)
        lines = (
            (14, INK, True, 7, figure.value),
            (7.5, INK, True, 3.6, figure.label),
            (6.5, GREY, False, 3.1, figure.note),
        )
        page.set_xy(x + 2.5, y + 2)
        for size, colour, bold, height, text in lines:
            page.write_in(size, colour, bold)
            page.set_x(x + 2.5)
            page.multi_cell(width - 5, height, text.strip(), align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
    rows = -(-len(figures) // ACROSS)
    page.set_xy(MARGIN, top + rows * (BOX + GAP))


def _chart(page: _Page, chart: Chart) -> None:
    image = Image.open(BytesIO(chart.png))
    height = page.epw * image.height / image.width
    page.heading(chart.title, height)
    page.image(image, w=page.epw, alt_text=chart.alternative)


def _table(page: _Page, table: Table) -> None:
    page.heading(table.title, 30)
    page.write_in(8)
    page.set_draw_color(*LINE)
    first = 3 if len(table.header) < 6 else 2.2
    widths = (first, *(1.0 for _ in table.header[1:]))
    with page.table(
        col_widths=widths,
        text_align=("LEFT", *("RIGHT" for _ in table.header[1:])),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", color=GREY, size_pt=7),
        line_height=5,
        padding=0.6,
    ) as grid:
        for cells in (table.header, *table.rows):
            row = grid.row()
            for cell in cells:
                row.cell(cell)
    if table.note:
        page.ln(1.5)
        page.write_in(7.5, GREY)
        page.line_of(4.5, table.note)
