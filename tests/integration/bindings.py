"""Settings of a server, processes that bind, and the end of a session from outside."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from server_users import PROJECT
from servers.sessions import end_session, session_of

from data_platform.settings import Settings, load
from schemas.binding import Binding
from schemas.embedded import EmbeddedServer


def settings_of(server: EmbeddedServer, home: Path, **changes: Any) -> Settings:
    found = server.start()
    database = {"backend": "postgresql", "prefix": f"b{secrets.token_hex(6)}", **found.arguments(), **changes}
    database["name"] = database.pop("dbname")
    return load(home=home, database=database)


def environment() -> dict[str, str]:
    paths = (str(PROJECT), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def python(script: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    variables = environment() | options.pop("env", {})
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables, **options)


def terminate(binding: Binding) -> None:
    """End the session of a binding from outside, as an administrator or a failover does."""
    end_session(binding.settings, session_of(binding))
