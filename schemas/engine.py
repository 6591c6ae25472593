"""DataJoint, imported quietly and quickly. Every module of this product takes it from here.

At import DataJoint warns that there is no ``datajoint.json``, reads one if the current folder
or a parent has it (which is why bindings never use that global configuration), and sends its
log to standard output, where it would spoil ``--json``. Here its messages go the way of
everybody's: to the handlers of the root logger, if they are warnings to standard error. A
program that imported DataJoint itself before keeps DataJoint's logging as it was.

DataJoint imports pandas to tell data frames from other values, which is half of the time and of the
memory that its import takes. Here it does so once somebody makes a data frame.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

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


class _Pandas(ModuleType):
    """Stands for pandas in the modules of DataJoint, and loads it for all else that they may ask of it."""

    DataFrame = _DataFrame("DataFrame", (), {})

    def __getattr__(self, name: str) -> Any:
        import pandas as pd

        return getattr(pd, name)


@contextmanager
def _pandas_later() -> Iterator[None]:
    """Let what is imported meanwhile have a stand-in for pandas, unless it is loaded or other threads might see it."""
    if "pandas" in sys.modules or threading.active_count() > 1:
        yield
        return
    sys.modules["pandas"] = _Pandas("pandas")
    try:
        yield
    finally:
        del sys.modules["pandas"]


_log.addFilter(_worth_telling)
try:
    with warnings.catch_warnings(), _pandas_later():
        warnings.simplefilter("ignore")
        import datajoint as dj

        with suppress(ImportError):  # DataJoint imports it once it populates, and it pandas
            import_module("deepdiff")
finally:
    _log.removeFilter(_worth_telling)
if _ours:
    _log.handlers.clear()
