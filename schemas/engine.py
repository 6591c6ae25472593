"""DataJoint, imported quietly. Every module of this product takes it from here.

At import DataJoint warns that there is no ``datajoint.json``, reads one if the current folder
or a parent has it (which is why bindings never use that global configuration), and sends its
log to standard output, where it would spoil ``--json``. Here its messages go the way of
everybody's: to the handlers of the root logger, if they are warnings to standard error. A
program that imported DataJoint itself before keeps DataJoint's logging as it was.
"""

from __future__ import annotations

import logging
import sys
import warnings

__all__ = ["dj"]

_log = logging.getLogger("datajoint")
_ours = "datajoint" not in sys.modules


def _worth_telling(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


_log.addFilter(_worth_telling)
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datajoint as dj
finally:
    _log.removeFilter(_worth_telling)
if _ours:
    _log.handlers.clear()
