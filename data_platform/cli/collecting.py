"""Garbage is looked for less often in a command: half a second of work, most of it imports, leaves next to none."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

ALLOCATED = 10_000
"""Objects that are made before the youngest are looked through; Python's own choice is 700, or 2,000."""


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Let the block make more objects between two looks for garbage, and leave what the program ends with unsearched.

    A fifth of the processor time of a short command was such looks: at what imports made, which stays, and once
    more at all of it when the interpreter ends.
    """
    youngest, *others = gc.get_threshold()
    if youngest:  # 0: whoever runs this has turned it off
        gc.set_threshold(max(youngest, ALLOCATED), *others)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(youngest, *others)
