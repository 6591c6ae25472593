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
    """Stands for a module in those that import it, and loads it once they ask anything of it.

    Who asks while it stands in, as ``from asyncio import Future`` does, gets the module, as do all who import it then.
    """

    asked_for: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if self.is_standing_in:
            if name.startswith("__") and name not in self.asked_for:  # what Python looks for in any module
                raise AttributeError(name)
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)

    @property
    def is_standing_in(self) -> bool:
        """Whether whoever imports the module now gets this."""
        return sys.modules.get(self.__name__) is self


class LaterPackage(Later):
    """Stands for a package, of which modules may be imported, too; that asks for where they are."""

    asked_for = ("__path__",)


class Dotenv(LaterPackage):
    """Stands for the reader of ``.env`` files, which pydantic-settings imports by its name."""

    @staticmethod
    def dotenv_values(*args: Any, **named: Any) -> Any:
        return import_module("dotenv").dotenv_values(*args, **named)


@contextmanager
def imported_later(stand_ins: Mapping[str, Callable[[str], ModuleType]]) -> Iterator[None]:
    """Let what is imported meanwhile have stand-ins for modules that are not loaded, if no other thread might see it.

    Parameters
    ----------
    stand_ins
        By the name of a module what makes its stand-in.
    """
    alone = threading.active_count() == 1
    made = {name: stand_ins[name](name) for name in stand_ins if name not in sys.modules} if alone else {}
    sys.modules.update(made)
    try:
        yield
    finally:
        for name, stand_in in made.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
