"""What several pages show alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from data_platform.errors import DataPlatformError
from data_platform.redact import redact_text


def failed(sentence: str, error: Exception) -> None:
    """Say that something went wrong, and what to do: `sentence` is ours, the text of the error is data."""
    st.error(sentence, icon=":material/error:")
    st.text(redact_text(str(error)))


def card() -> Any:
    """Return a container for a list of links with a line about each."""
    return st.container(border=True, gap="xxsmall")


def many(count: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: ``1 file``, ``2,000 files``."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


KINDS = {
    "table_chart": ("csv", "tsv", "xlsx", "xls", "parquet", "feather", "sas7bdat", "rds"),
    "folder": ("folder",),
    "article": ("txt", "md", "pdf", "docx", "doc", "html"),
    "image": ("png", "jpg", "jpeg", "tif", "tiff", "svg"),
    "slideshow": ("pptx", "ppt"),
    "code": ("py", "r", "ipynb", "sql", "sh"),
    "data_object": ("json", "jsonl", "xml", "yaml"),
    "folder_zip": ("zip", "gz", "tar"),
    "biotech": ("fcs", "fastq", "bam", "vcf", "h5ad", "h5"),
}


def kind_icon(kind: str) -> str:
    """Return the name of an icon for files of a kind."""
    return next((icon for icon, kinds in KINDS.items() if kind in kinds), "description")


def attempt(act: Callable[[], object]) -> bool:
    """Do something that may be refused, and tell why if it is; return whether it was done."""
    try:
        act()
    except DataPlatformError as error:
        failed("This was not done.", error)
        return False
    return True
