"""Waiting for what other processes and threads do, on machines of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds after which waiting is given up; nothing that works takes nearly as long."""


def wait_until(condition: Callable[[], object], pause: float = 0.02) -> None:
    """Return once a condition holds, which is looked at every `pause` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
