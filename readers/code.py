"""What a script or notebook says of itself: how it introduces itself, what it defines, and which functions it calls.

Of the code only names are kept and how it introduces itself; no values, which may be data or secrets. It is looked
at where accesses are delivered, never where they are made: a read must not wait for it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_platform.redact import redact_text
from readers.git import subject

LARGEST = 256 * 1024
"""Bytes; a larger file is no script that somebody wrote."""
MOST = 20
"""Names of each kind that are kept."""
_TITLE, _NAME, _LINE = 500, 80, 120
_MAGIC = re.compile(r"^\s*[%!?].*$", re.MULTILINE)
_NO_TITLE = re.compile(r"#!|#.*coding[:=]|#\s*(?:%%|copyright|license|spdx)", re.IGNORECASE)


class Outline(NamedTuple):
    """How code introduces itself, and names in the order in which they occur in it."""

    title: str
    imports: list[str]
    defines: list[list[str]]
    calls: list[str]

    @property
    def names(self) -> dict[str, Any]:
        return {"imports": self.imports, "defines": self.defines, "calls": self.calls}


def code_record(run: Mapping[str, Any], host: str, environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the columns of `schemas.code.RunCode` for a run of this machine; None if its code cannot be had.

    Parameters
    ----------
    run
        Row of `schemas.sharing.AccessRun`.
    host
        What this machine is called there.
    environment
        That git is to run in.
    """
    path = str(run["entry_point"])
    if run["host"] != host or not path.startswith("/") or not path.endswith((".py", ".ipynb")) or _is_installed(path):
        return None
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        return None
    told = _told(path, found.st_mtime_ns, found.st_size)
    commit = str(run["commit_id"])
    said = _subject(str(Path(path).parent), commit, environment) if told and commit else ""
    return {**told, "commit_subject": said} if told else None


@lru_cache(maxsize=64)
def _told(path: str, changed: int, size: int) -> dict[str, str] | None:
    """Return what a file says of itself; `changed` and `size` tell its states apart."""
    try:
        data = Path(path).read_bytes()[:LARGEST]
        code, heading = notebook(data) if path.endswith(".ipynb") else (data.decode("utf-8", "replace"), "")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    found = outline(code)
    return {
        "code_sha256": hashlib.sha256(data).hexdigest(),
        "code_title": redact_text(heading or found.title)[:_TITLE],
        "code_outline": _within(4000, found.names),
    }


_subjects: dict[tuple[str, str], str] = {}


def _subject(folder: str, commit: str, environment: Mapping[str, str]) -> str:
    if (folder, commit) not in _subjects:
        _subjects[folder, commit] = redact_text(subject(Path(folder), commit, environment))[:255]
    return _subjects[folder, commit]


def notebook(data: bytes) -> tuple[str, str]:
    """Return the code of a notebook, and its first heading. Raises ValueError and its like if it is none."""
    cells = json.loads(data)["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    code = "\n".join(_MAGIC.sub("", text) for kind, text in texts if kind == "code")
    prose = next((text for kind, text in texts if kind == "markdown" and text.strip()), "")
    return code, _first_words(prose.replace("#", " "))


def outline(code: str) -> Outline:
    """Return what code says of itself; of code that cannot be parsed how it introduces itself, if that."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the user wrote
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Outline(_comment(code), [], [], [])
    names = dict(_imported(tree))
    modules = [dotted.partition(".")[0] for dotted in names.values()]
    defines = [
        [node.name[:_NAME], _first_words(ast.get_docstring(node) or "")[:_LINE]]
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    title = _first_words(ast.get_docstring(tree) or "") or _comment(code)
    return Outline(title, _some(modules), defines[:MOST], _some(_calls(tree, names)))


def _first_words(text: str) -> str:
    """Return the first paragraph of a text, in one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())[:_TITLE]


def _comment(code: str) -> str:
    """Return the comment that code begins with."""
    lines = []
    for line in code.lstrip().splitlines():
        if not line.startswith("#"):
            break
        if not _NO_TITLE.match(line):
            lines.append(line.lstrip("# "))
    return _first_words("\n".join(lines))


def _some(names: Iterable[str]) -> list[str]:
    return [name[:_NAME] for name in dict.fromkeys(names)][:MOST]


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield what names stand for that come from outside of Python's own library."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not _is_standard(alias.name):
                    yield (
                        alias.asname or alias.name.partition(".")[0],
                        (alias.name if alias.asname else alias.name.partition(".")[0]),
                    )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and not _is_standard(node.module):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _is_standard(module: str) -> bool:
    """Tell whether a module is Python's own or this product, which all use."""
    return module.partition(".")[0] in {*sys.stdlib_module_names, "data_platform"}


def _calls(tree: ast.Module, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the full names of imported functions that are called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (dotted := _dotted(node.func)):
            root, _, rest = dotted.partition(".")
            if root in names:
                yield f"{names[root]}.{rest}".rstrip(".")


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _within(width: int, names: dict[str, Any]) -> str:
    """Return names as JSON of at most `width` characters: what is last in the longest list goes first."""
    while len(text := json.dumps(names, ensure_ascii=False)) > width:
        max(names.values(), key=lambda some: len(json.dumps(some))).pop()
    return text


def _is_installed(path: str) -> bool:
    return "site-packages" in Path(path).parts or any(
        Path(path).is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix)
    )
