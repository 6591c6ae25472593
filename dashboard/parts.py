"""What several pages show alike."""

from __future__ import annotations

from typing import Any

import streamlit as st

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
