"""What several pages show alike."""

from __future__ import annotations

import streamlit as st

from data_platform.redact import redact_text


def failed(sentence: str, error: Exception) -> None:
    """Say that something went wrong, and what to do: `sentence` is ours, the text of the error is data."""
    st.error(sentence, icon=":material/error:")
    st.text(redact_text(str(error)))
