"""DataJoint, imported quietly and quickly. Every module of this product takes it from here.

At import DataJoint warns that there is no ``datajoint.json``, reads one if the current folder
or a parent has it (which is why bindings never use that global configuration), and sends its
log to standard output, where it would spoil ``--json``. Here its messages go the way of
everybody's: to the handlers of the root logger, if they are warnings to standard error. A
program that imported DataJoint itself before keeps DataJoint's logging as it was.

DataJoint imports pandas to tell data frames from other values, networkx for the graph of foreign keys, and fsspec
for external storage; the driver for MySQL imports cryptography for some of its logins. Together that is most of the
time and of the memory that its import takes. Here each is imported once somebody makes a data frame, asks for the
graph, and so on.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from data_platform.later import Later, imported_later

__all__ = ["dj"]

_log = logging.getLogger("datajoint")
_ours = "datajoint" not in sys.modules


def _worth_telling(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


class _DataFrame(type):
    """Class of what stands for `pandas.DataFrame`: where pandas is not loaded, nothing is a data frame."""

    def __instancecheck__(cls, instance: object) -> bool:
        loaded = sys.modules.get("pandas")
        return loaded is not None and isinstance(instance, loaded.DataFrame)

    def __call__(cls, *args: Any, **named: Any) -> Any:
        import pandas as pd

        return pd.DataFrame(*args, **named)


class _Pandas(Later):
    """Stands for pandas: to ask whether something is a data frame loads nothing."""

    DataFrame = _DataFrame("DataFrame", (), {})


class _Dependencies:
    """Stands for the graph of foreign keys of a connection, which is made when somebody looks at it."""

    _made: Any = None

    def __init__(self, connection: Any = None) -> None:
        self._connection = connection

    def clear(self) -> None:
        if self._made is not None:
            self._made.clear()

    def __contains__(self, name: object) -> bool:
        return name in self._graph

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    @property
    def _graph(self) -> Any:
        if self._made is None:
            self._made = import_module("datajoint.dependencies").Dependencies(self._connection)
        return self._made


class _Graphs(Later):
    """Stands for the module that imports networkx."""

    Dependencies = _Dependencies

    @staticmethod
    def extract_master(part_table: str) -> str | None:
        master: str | None = import_module("datajoint.dependencies").extract_master(part_table)
        return master


class _Fsspec(Later):
    """Stands for fsspec, whose classes are in annotations, too, which are read while DataJoint is imported."""

    def __getattr__(self, name: str) -> Any:
        is_annotation = name in {"AbstractFileSystem", "FSMap"} and self.is_standing_in
        return Any if is_annotation else super().__getattr__(name)


class _Deferred:
    """Something of a module, or what is made of such things, made once something is parsed by it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name) if name == "parse_string" else _Deferred(lambda: getattr(self._make(), name))

    def __call__(self, *args: Any, **named: Any) -> _Deferred:
        return _Deferred(lambda: self._make()(*map(_made, args), **{name: _made(one) for name, one in named.items()}))

    def __add__(self, other: Any) -> _Deferred:
        return _Deferred(lambda: self._make() + _made(other))

    def __xor__(self, other: Any) -> _Deferred:
        return _Deferred(lambda: self._make() ^ _made(other))


def _made(one: Any) -> Any:
    return one._make() if isinstance(one, _Deferred) else one


class _Grammars(Later):
    """Stands for pyparsing: of its grammars, which are for definitions of tables, only who declares one has any use."""

    def __getattr__(self, name: str) -> Any:
        if self.is_standing_in and not name.startswith("__"):
            return _Deferred(lambda: getattr(import_module(self.__name__), name))
        return super().__getattr__(name)


_LATER = {
    "pandas": _Pandas,
    "pyparsing": _Grammars,
    "datajoint.dependencies": _Graphs,
    "fsspec": _Fsspec,
    "cryptography.hazmat.primitives.hashes": Later,
    "cryptography.hazmat.primitives.serialization": Later,
    "cryptography.hazmat.primitives.asymmetric.padding": Later,
}


_log.addFilter(_worth_telling)
try:
    with warnings.catch_warnings(), imported_later(_LATER):
        warnings.simplefilter("ignore")
        import datajoint as dj

        with suppress(ImportError):  # DataJoint imports it once it populates, and it pandas
            import_module("deepdiff")
finally:
    _log.removeFilter(_worth_telling)
if _ours:
    _log.handlers.clear()
