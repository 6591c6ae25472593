"""How far feeds of changes were read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from populate.directory.known import latest
from schemas.binding import Binding
from schemas.directory import FeedPosition


class Position(NamedTuple):
    """The latest position of a feed: its number, where to go on, and since when (UTC) it holds."""

    number: int
    token: str
    at: datetime


def positions(binding: Binding) -> dict[str, Position]:
    """Return the latest position of each feed."""
    rows = latest(binding, FeedPosition, ("feed",), "position_no", "position_token", "position_at")
    return {feed: Position(number, token, at) for feed, number, token, at in rows}
