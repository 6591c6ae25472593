"""The dashboard's one connection to the catalogue, shared by all sessions of this process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st

from dashboard.counting import Counting
from dashboard.queries.files import headline_beside
from data_platform.settings import settings
from populate.pipeline import bind_all
from schemas.binding import Binding

P = ParamSpec("P")
T = TypeVar("T")

# One for all: a process has one binding, however often the catalogue is opened anew.
_LOCK = RLock()


class Catalogue:
    """A binding that one session at a time asks something of: a connection is not thread-safe."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self.figures = Counting(headline_beside(binding))

    def ask(self, query: Callable[Concatenate[Binding, P], T], *args: P.args, **values: P.kwargs) -> T:
        """Return ``query(binding, *args, **values)``."""
        with self.alone() as binding:
            return query(binding, *args, **values)

    @contextmanager
    def alone(self) -> Iterator[Binding]:
        """Yield the binding while no other session asks anything; this one may go on asking."""
        with _LOCK:
            yield self._binding


@st.cache_resource(show_spinner="Opening the catalogue …")
def catalogue() -> Catalogue:
    """Return the catalogue of this process, connected once."""
    binding = bind_all(settings())
    _keep_what_is_imported()
    return Catalogue(binding)


@cache
def _keep_what_is_imported() -> None:
    """Have it looked through for garbage never again: each such look stops all pages for a tenth of a second."""
    gc.collect()
    gc.freeze()
