"""Run a command and everything that it starts, and tell what that cost: ``python -m benchmarks._metered COMMAND…``.

Servers that the command starts beside itself (the embedded database) are counted, too, once they have ended: they
become children of this process. The last line of standard output is a JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SUBREAPER = 36  # of prctl: what loses its parent becomes a child of this process
ROOT = Path(__file__).resolve().parents[1]


class Cost(NamedTuple):
    """What a command cost.

    Attributes
    ----------
    wall
        Seconds until it ended.
    cpu
        Seconds of processor time, with all that it started.
    own_cpu
        Of these its own.
    peak_mib
        Most memory of the command itself.
    """

    wall: float
    cpu: float
    own_cpu: float
    peak_mib: float


def metered(command: Sequence[str], environment: Mapping[str, str] | None = None, *, cwd: Path | None = None) -> Cost:
    """Run a command to its end.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    with tempfile.TemporaryFile() as said:
        meter = [sys.executable, "-m", "benchmarks._metered", str(cwd or Path.cwd()), *command]
        done = subprocess.run(
            meter, env={**os.environ, **(environment or {})}, cwd=ROOT, stdout=subprocess.PIPE, stderr=said, check=False
        )
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {said.read()[-2000:].decode(errors='replace')}")
    return Cost(**json.loads(done.stdout))


def main() -> None:
    """Run the command of the arguments in the folder of the first one."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    folder, *command = sys.argv[1:]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    wall, own = 0.0, None
    while True:
        try:
            pid, code, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        if pid == process.pid:
            wall, own, process.returncode = time.perf_counter() - start, usage, os.waitstatus_to_exitcode(code)
    assert own is not None
    everything = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = Cost(wall, _cpu(everything), _cpu(own), own.ru_maxrss / 1024)
    print(json.dumps(cost._asdict()))
    sys.exit(process.returncode)


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
