"""Modules that others import and rarely need, imported once they do: what every process pays for at its start."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands for a module in those that import it, and loads it once they ask anything of it."""

    def __getattr__(self, name: str) -> Any:
        if self.is_standing_in:  # its importer looks for a path to modules within it
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)

    @property
    def is_standing_in(self) -> bool:
        """Whether whoever imports the module now gets this."""
        return sys.modules.get(self.__name__) is self


@contextmanager
def imported_later(stand_ins: Mapping[str, Callable[[str], ModuleType]]) -> Iterator[None]:
    """Let what is imported meanwhile have stand-ins for modules that are not loaded, if no other thread might see it.

    Parameters
    ----------
    stand_ins
        By the name of a module what makes its stand-in.
    """
    names = {name for name in stand_ins if name not in sys.modules} if threading.active_count() == 1 else set()
    sys.modules.update({name: stand_ins[name](name) for name in names})
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
