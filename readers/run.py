"""The facts of a run: which code, whose process, where. Found once per process, on its first read.

A process that was forked keeps the run of its parent: it runs the same code with the same
arguments. One that was started afresh is a run of its own.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import socket
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from data_platform.redact import redact_argv
from data_platform.settings import settings
from data_platform.version import __version__
from readers.code import code_record
from readers.environment import environment_facts
from readers.event import machine_login
from readers.git import Checkout, checkout
from schemas.identity import display_text

EXECUTION_ID = secrets.token_hex(16)
"""Identity of this run; kept after a fork."""
_NO_CHECKOUT = Checkout("", "", "", False)


def run_record() -> dict[str, object]:
    """Return the facts of this run, named like the columns of `schemas.sharing.AccessRun`.

    Takes about 10 ms the first time, most of them git's (which gets 200 ms at most; if it
    needs more, ``dirty`` is False and ``environment`` says ``"dirty": "unknown"``).
    """
    with _finding:
        return dict(_facts())


# Finding out runs git, which takes locks of the standard library. A child forked by another
# thread just then would inherit them held for ever, so a fork waits until all is found.
_finding = threading.RLock()
os.register_at_fork(before=_finding.acquire, after_in_parent=_finding.release, after_in_child=_finding.release)


@lru_cache(maxsize=1)
def _facts() -> dict[str, object]:
    entry, folder = entry_point()
    code = checkout(folder, os.environ)
    places = environment_facts(os.environ)
    if code is not None and code.dirty is None:
        places = {"dirty": "unknown", **places}
    code = code or _NO_CHECKOUT
    return {
        "execution_id": EXECUTION_ID,
        "started_at": started_at().isoformat(timespec="microseconds"),
        "run_realm": _cut(settings().realm, 255),
        "run_login": _cut(machine_login(), 255),
        "host": _cut(socket.gethostname(), 255),
        "entry_point": _cut(entry, 4096),
        "argv": json_within(4096, [_cut(argument, 1024) for argument in redact_argv(_arguments())]),
        "repository": _cut(code.remote, 1024),
        "commit_id": code.commit,
        "branch": _cut(code.branch, 255),
        "dirty": bool(code.dirty),
        "python_version": _cut(platform.python_version(), 32),
        "package_version": __version__,
        "environment": json_within(2048, {name: display_text(value) for name, value in places.items()}),
    }


def code_of(run: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what the code of a run of this machine says of itself; None if it cannot be had."""
    return code_record(run, _cut(socket.gethostname(), 255), os.environ)


def _cut(text: str, width: int) -> str:
    return display_text(text)[:width]


def json_within(width: int, value: list[str] | dict[str, str]) -> str:
    """Return `value` as JSON of at most `width` characters; what is last goes first.

    A list that was shortened ends in ``…``.
    """
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= width:
        return text
    if isinstance(value, list):
        return json_within(width, [*value[: -1 - (value[-1] == "…")], "…"])
    return json_within(width, dict(list(value.items())[:-1]))


def _arguments() -> list[str]:
    return [str(argument) for argument in getattr(sys, "argv", ())]  # absent where Python is embedded


def started_at() -> datetime:
    """Return when this process started (naive, UTC)."""
    return datetime.fromtimestamp(psutil.Process().create_time(), UTC).replace(tzinfo=None)


def entry_point() -> tuple[str, Path]:
    """Return what was started, and the folder where its code is looked for.

    A script or notebook by its path, a module as ``-m package.module``, code on the command
    line as ``-c``, else ``interactive``. What was installed with Python, as pytest or
    snakemake, and what has no file runs code of the working folder.
    """
    here = _working_folder()
    shell = _shell()
    if shell is not None and hasattr(shell, "kernel"):
        notebook = notebook_path(getattr(shell, "user_ns", {}), os.environ)
        return notebook, (Path(notebook).parent if Path(notebook).is_absolute() else here)
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or file.startswith("<") or shell is not None:  # as <stdin>
        return ("-c" if _arguments()[:1] == ["-c"] else "interactive"), here
    script = Path(os.path.normpath(here / file))
    folder = here if _is_installed(script) else script.resolve().parent
    spec = getattr(main, "__spec__", None)
    if spec is None or spec.name == "__main__":  # the latter: a folder or an archive run as a script
        return str(script), folder
    return f"-m {spec.name.removesuffix('.__main__')}", folder


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # removed under the process
        return Path("/")


def _shell() -> object | None:
    """Return the running IPython, without importing it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None


def notebook_path(namespace: Mapping[str, object], variables: Mapping[str, str]) -> str:
    """Return the path of the notebook as VS Code or the Jupyter server tells it, else ``notebook``."""
    return str(namespace.get("__vsc_ipynb_file__") or variables.get("JPY_SESSION_NAME") or "notebook")


def _is_installed(script: Path) -> bool:
    prefixes = (sys.prefix, sys.base_prefix)
    return "site-packages" in script.parts or any(script.is_relative_to(prefix) for prefix in prefixes)
