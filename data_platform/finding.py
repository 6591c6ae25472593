"""What an examination of an installation finds, whoever examines which part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "todo"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was examined; `advice` says what to do, and is empty if nothing."""

    name: str
    state: State
    detail: str
    advice: str = ""
