"""What users name a file by."""

from __future__ import annotations

from os import PathLike

Link = str | PathLike[str]
