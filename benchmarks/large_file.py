"""Memory that one very large file takes: backed up, read back for proof, and restored, each by the command.

The file is sparse and random: blocks of random bytes with holes between them. ``--bucket`` keeps it in the most real
S3 server that is installed (Ceph's holds at most some 3 GiB, in memory) instead of in a folder.

Run as ``python -m benchmarks.large_file [--small] [--gib N] [--bucket]``. The last line is a JSON object:

``backup_peak_mib``, ``verify_peak_mib``, ``restore_peak_mib``
    most memory of the command
``backup_cpu``, ``verify_cpu``, ``restore_cpu``
    seconds of processor time, the embedded database's included
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks._metered import metered
from benchmarks._servers import s3_server
from benchmarks._timing import machine, show

GIB = 1024**3
BLOCK = 1024**2
EVERY = 16
"""One of so many blocks is random, the others are holes."""

PLATFORM = [sys.executable, "-m", "data_platform"]


def grow(file: Path, size: int) -> None:
    """Make the file."""
    chance = random.Random(8)
    with file.open("wb") as target:
        target.truncate(size)
        for start in range(0, size, EVERY * BLOCK):
            target.seek(start + chance.randrange(EVERY) * BLOCK)
            target.write(chance.randbytes(min(BLOCK, max(0, size - target.tell()))))


@contextmanager
def environment(folder: Path, *, bucket: bool) -> Iterator[dict[str, str]]:
    """Yield the settings of the commands."""
    home = {"DATA_PLATFORM_HOME": str(folder / "home")}
    if not bucket:
        yield home
        return
    with s3_server(folder / "server") as (server, _):
        address = {"URL": "s3://large", "ENDPOINT": server.endpoint}
        keys = {"ACCESS_KEY": server.access_key, "SECRET_KEY": server.secret_key}
        yield home | {f"DATA_PLATFORM_STORE__{name}": value for name, value in (address | keys).items()}


def measure(folder: Path, size: int, variables: dict[str, str]) -> dict[str, float]:
    """Back up, prove and restore, and compare what came back."""
    (folder / "lab").mkdir()
    source = folder / "lab" / "large.bin"
    grow(source, size)
    commands = {
        "backup": ["adopt", str(folder / "lab")],
        "verify": ["check", "--verify-data"],
        "restore": ["restore-files", "--to", str(folder / "back")],
    }
    costs = {name: metered([*PLATFORM, *command], variables) for name, command in commands.items()}
    (back,) = (path for path in (folder / "back").rglob("*") if path.is_file())
    if not alike(source, back):
        raise RuntimeError("other bytes came back")
    rows = [[name, *(f"{value:,.1f}" for value in cost)] for name, cost in costs.items()]
    show("one file", ["step", "wall s", "CPU s", "of its own", "peak MiB"], rows)
    figures = {f"{name}_peak_mib": round(cost.peak_mib, 1) for name, cost in costs.items()}
    return figures | {f"{name}_cpu": round(cost.cpu, 1) for name, cost in costs.items()}


def alike(one: Path, other: Path) -> bool:
    """Tell whether two files have the same bytes."""
    with one.open("rb") as first, other.open("rb") as second:
        while piece := first.read(BLOCK):
            if piece != second.read(BLOCK):
                return False
        return not second.read(1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--gib", type=float, default=8.0, help="size of the file")
    parser.add_argument("--bucket", action="store_true", help="keep it in a bucket")
    asked = parser.parse_args()
    gib = 0.25 if asked.small else asked.gib
    print(machine())
    with tempfile.TemporaryDirectory(prefix="large-") as folder, ExitStack() as stack:
        variables = stack.enter_context(environment(Path(folder), bucket=asked.bucket))
        facts = {"benchmark": "large_file", "gib": gib, "store": "bucket" if asked.bucket else "folder"}
        print(json.dumps({**facts, **measure(Path(folder), int(gib * GIB), variables)}))


if __name__ == "__main__":
    main()
