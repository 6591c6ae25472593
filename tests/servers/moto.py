"""moto's S3 server as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.processes import DEADLINE, S3Server

PROGRAM = Path(__file__).with_name("moto_process.py")


@contextmanager
def moto_server(folder: Path) -> Iterator[S3Server]:
    """Run the server; its log is in `folder`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # -P: the folder of the program holds a module named like the package it imports.
    command = [sys.executable, "-P", str(PROGRAM)]
    with (
        (folder / "moto.log").open("wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise RuntimeError((folder / "moto.log").read_text()[-3000:])
            yield S3Server(**json.loads(line))
        finally:
            server.kill()
            server.wait(timeout=DEADLINE)
