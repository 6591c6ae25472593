"""From the SQL that modules write down to what a driver is given.

``$Table`` stands for a table's full name, ``$fragment`` for a piece of SQL that several statements share, ``%(name)s``
for a parameter of the driver's. No value from outside is ever put into the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from typing import Any


def rendered(text: str, fragments: Mapping[str, str], tables: Iterable[type[Any]]) -> str:
    """Return a statement with its fragments, which may contain others, and the names of the bound tables.

    Raises
    ------
    KeyError
        If something in it is neither.
    """
    while (expanded := Template(text).safe_substitute(fragments)) != text:
        text = expanded
    return Template(text).substitute({table.__name__: table().full_table_name for table in tables})
