"""The dashboard's one connection to the catalogue, shared by all sessions of this process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st

from dashboard.counting import Counting
from dashboard.queries.files import headline_beside
from data_platform.settings import settings
from populate.pipeline import bind_all
from schemas.binding import Binding

P = ParamSpec("P")
T = TypeVar("T")


class Catalogue:
    """A binding that one session at a time asks something of: a connection is not thread-safe."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._lock = Lock()
        self.figures = Counting(headline_beside(binding))

    def ask(self, query: Callable[Concatenate[Binding, P], T], *args: P.args, **values: P.kwargs) -> T:
        """Return ``query(binding, *args, **values)``."""
        with self._lock:
            return query(self._binding, *args, **values)


@st.cache_resource(show_spinner="Opening the catalogue …")
def catalogue() -> Catalogue:
    """Return the catalogue of this process, connected once."""
    return Catalogue(bind_all(settings()))
