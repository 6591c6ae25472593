"""How values look on pages. Names of files and people are data: they never become Markdown or HTML."""

from __future__ import annotations

import re

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_JOINS = re.compile(r"(?<=[:@])(?=\S)|(?<=[-<>=~])(?=[-<>=~])|(?<=www)(?=\.)", re.IGNORECASE)
BACKUP = {"backed up": "✓ backed up", "waiting": "… waiting", "failed": "✗ failed"}
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def human_bytes(count: float) -> str:
    """Return `count` bytes as people write it, as ``1.4 MB`` (powers of 1,000)."""
    unit = 0
    while abs(count) >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:,.0f} {UNITS[unit]}" if unit == 0 else f"{count:,.1f} {UNITS[unit]}"


def backup_state(state: str, reason: str = "") -> str:
    """Return the state with a sign that does not need colour, and why a backup failed."""
    return BACKUP.get(state, state) + (f": {reason}" if state == "failed" and reason else "")


def plain(text: str) -> str:
    """Return Markdown that shows `text` as it is, on one line: for labels, which Streamlit takes for Markdown.

    Escaping keeps Markdown from reading the text. What Streamlit makes of it afterwards (names of icons, arrows,
    addresses) is kept from matching by a character without width.
    """
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    parted = _JOINS.sub("\N{WORD JOINER}", shown)
    return _PUNCTUATION.sub(r"\\\g<0>", parted)
