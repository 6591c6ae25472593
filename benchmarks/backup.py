"""Backing up, proving and restoring a real tree, beside restic, rclone, borg and a hand-made loop.

All but borg keep to the same S3 server (Ceph RADOS Gateway if it is installed, else moto), each in a bucket of its
own; borg knows no S3 and gets a folder, so its figures stand beside, not against. Each command runs as a person
types it; rows in the embedded database, and that database's processor time, are part of ours.

The tree is what is installed here: real files, of which a fifth is there twice, and large random ones. After a
first run come one in which nothing has changed, one of a copy of the tree, a verification of every byte, and a
restore of the tree. Rounds are interleaved; figures are medians over rounds, each against restic of that round.

Run as ``python -m benchmarks.backup [--small] [--files N] [--large MIB] [--rounds N]``. The last line is a JSON
object:

``first_cpu_vs_restic``, ``first_wall_vs_restic``, ``first_cpu_vs_limit``
    the first run, against restic's and against the processor time of a loop that reads, hashes and stores each file
``unchanged_vs_restic``, ``copied_vs_restic``, ``verify_vs_restic``, ``restore_vs_restic``
    wall time against restic's
``verify_cpu_vs_restic``, ``restore_cpu_vs_restic``
    processor time against restic's
``peak_mib``
    most memory of any of our commands
``requests_unchanged``, ``puts_copied``
    requests to the store of a run without changes, and objects written of the copied tree (Ceph only)
``stored_vs_restic``
    bytes in the store against restic's, which divides files into chunks
``missing``
    programs that are not installed, and so not compared
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import boto3

from benchmarks._metered import Cost, metered
from benchmarks._servers import S3Server, requests_to, s3_server
from benchmarks._timing import machine, show

STEPS = ("first", "unchanged", "copied", "verify", "restore")
PLATFORM = [sys.executable, "-m", "data_platform"]
LOOP = [sys.executable, "-m", "benchmarks._put_loop"]
TWICE = 5
"""One of so many files is in the tree twice."""

LARGE = 3
"""Large files beside them, of random bytes."""

MIB = 1024**2


@dataclass
class Trees:
    """The tree, a copy of it that appears later, and how many files and bytes it has."""

    tree: Path
    copy: Path
    files: int
    size: int


@dataclass
class Tool:
    """A program, and how it does each step.

    Attributes
    ----------
    prepare
        Done before, and not counted.
    steps
        Commands, by the name of the step.
    environment
        Variables of all of them.
    """

    name: str
    prepare: list[list[str]]
    steps: dict[str, list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)


def grow(folder: Path, files: int, large_mib: int) -> Trees:
    """Make the tree and its copy out of what is installed here."""
    tree, size = folder / "tree", 0
    for number, source in enumerate(islice(installed(), files - files // TWICE)):
        places = [tree / f"{number % 97}" / f"{number} {source.name}"]
        if number % (TWICE - 1) == 0:
            places.append(tree / "again" / places[0].name)
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            size += place.stat().st_size
    for number in range(LARGE if large_mib else 0):
        with (tree / f"large {number}.bin").open("wb") as file:
            for part in range(large_mib):
                file.write(random.Random(1000 * number + part).randbytes(MIB))
        size += large_mib * MIB
    shutil.copytree(tree, folder / "copy")
    return Trees(tree, folder / "copy", sum(path.is_file() for path in tree.rglob("*")), size)


def installed() -> Iterator[Path]:
    """Yield files of this Python's packages and of the standard library, none above 4 MiB, in a mixed order."""
    roots = {Path(sysconfig.get_paths()[name]) for name in ("purelib", "platlib", "stdlib")}
    found = sorted({path for root in roots for path in root.rglob("*") if "__pycache__" not in path.parts})
    random.Random(1).shuffle(found)
    yield from (path for path in found if path.is_file() and not path.is_symlink() and path.stat().st_size < 4 * MIB)


def ours(server: S3Server, folder: Path, trees: Trees) -> Tool:
    """Adopt the tree, as an administrator does who begins with this product."""
    environment = {
        "DATA_PLATFORM_HOME": str(folder / "home"),
        "DATA_PLATFORM_STORE__URL": "s3://platform",
        "DATA_PLATFORM_STORE__ENDPOINT": server.endpoint,
        "DATA_PLATFORM_STORE__ACCESS_KEY": server.access_key,
        "DATA_PLATFORM_STORE__SECRET_KEY": server.secret_key,
        "DATA_PLATFORM_STORE__PACK_BYTES": "8000000",
    }
    steps = {
        "first": [*PLATFORM, "adopt", str(trees.tree)],
        "unchanged": [*PLATFORM, "adopt", str(trees.tree)],
        "copied": [*PLATFORM, "adopt", str(trees.copy)],
        "verify": [*PLATFORM, "check", "--verify-data"],
        "restore": [*PLATFORM, "restore-files", "--below", str(trees.tree), "--to", str(folder / "back")],
    }
    environment["PYTHONDONTWRITEBYTECODE"] = ""  # ours is compiled once, as an installer does
    return Tool("data-platform", [[*PLATFORM, "status"]], steps, environment)


def restic(server: S3Server, folder: Path, trees: Trees) -> Tool:
    """Restic keeps chunks in packs and encrypts them, which cannot be turned off."""
    environment = {
        "RESTIC_REPOSITORY": f"s3:{server.endpoint}/restic",
        "RESTIC_PASSWORD": "benchmark",
        "RESTIC_CACHE_DIR": str(folder / "cache"),
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }
    steps = {
        "first": ["restic", "backup", "-q", "--tag", "first", str(trees.tree)],
        "unchanged": ["restic", "backup", "-q", str(trees.tree)],
        "copied": ["restic", "backup", "-q", str(trees.copy)],
        "verify": ["restic", "check", "-q", "--read-data"],
        "restore": ["restic", "restore", "-q", "latest", "--tag", "first", "--target", str(folder / "back")],
    }
    return Tool("restic", [["restic", "init", "-q"]], steps, environment)


def rclone(server: S3Server, folder: Path, trees: Trees) -> Tool:
    """Rclone copies files one by one and keeps no history."""
    environment = {
        "AWS_CA_BUNDLE": "",  # with one, some releases refuse to start
        "RCLONE_CONFIG": str(folder / "none.conf"),
        "RCLONE_CONFIG_S3_TYPE": "s3",
        "RCLONE_CONFIG_S3_PROVIDER": "Ceph",
        "RCLONE_CONFIG_S3_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_S3_ACCESS_KEY_ID": server.access_key,
        "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": server.secret_key,
    }
    many = ["--transfers", "8", "--checkers", "8", "-q"]
    steps = {
        "first": ["rclone", "sync", *many, str(trees.tree), "s3:rclone/tree"],
        "unchanged": ["rclone", "sync", *many, str(trees.tree), "s3:rclone/tree"],
        "copied": ["rclone", "sync", *many, str(trees.copy), "s3:rclone/copy"],
        "verify": ["rclone", "check", *many, "--download", str(trees.tree), "s3:rclone/tree"],
        "restore": ["rclone", "copy", *many, "s3:rclone/tree", str(folder / "back")],
    }
    return Tool("rclone", [["rclone", "mkdir", "s3:rclone"]], steps, environment)


def borg(server: S3Server, folder: Path, trees: Trees) -> Tool:
    """Borg keeps chunks in a folder; there is no other way of it."""
    repository = str(folder / "repository")
    environment = {
        "BORG_BASE_DIR": str(folder),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    steps = {
        "first": ["borg", "create", "--compression", "none", f"{repository}::first", str(trees.tree)],
        "unchanged": ["borg", "create", "--compression", "none", f"{repository}::again", str(trees.tree)],
        "copied": ["borg", "create", "--compression", "none", f"{repository}::copy", str(trees.copy)],
        "verify": ["borg", "check", "--verify-data", repository],
        "restore": ["borg", "extract", f"{repository}::first"],
    }
    (folder / "back").mkdir()
    return Tool("borg (folder)", [["borg", "init", "-e", "none", repository]], steps, environment)


def loop(server: S3Server, folder: Path, trees: Trees) -> Tool:
    """Read each file, hash it, store it under its hash: the least that has to be done."""
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    return Tool("loop", [], {"first": [*LOOP, server.endpoint, "loop", str(trees.tree)]}, keys)


TOOLS: dict[str, Callable[[S3Server, Path, Trees], Tool]] = {
    "data-platform": ours,
    "restic": restic,
    "rclone": rclone,
    "borg": borg,
    "loop": loop,
}


@dataclass
class Round:
    """What each step of each tool cost, requests to the server of ours, and the bytes that buckets hold."""

    costs: dict[str, dict[str, Cost]] = field(default_factory=dict)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)

    def take(self, tool: Tool, step: str, server: S3Server, folder: Path) -> None:
        """Do one step."""
        before = requests_to(server)
        inside = folder / "back" if tool.name.startswith("borg") else None
        cost = metered(tool.steps[step], tool.environment, cwd=inside)
        after = requests_to(server)
        self.costs.setdefault(tool.name, {})[step] = cost
        if tool.name == "data-platform":
            self.requests[step] = {name: after[name] - before[name] for name in before}


def run_round(server: S3Server, folder: Path, trees: Trees, names: list[str]) -> Round:
    """Let every tool do every step, a step after the other, so that a slow moment hits all alike."""
    done = Round()
    tools = []
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    client.create_bucket(Bucket="loop")
    for name in names:
        (folder / name).mkdir(parents=True)
        tool = TOOLS[name](server, folder / name, trees)
        for command in tool.prepare:
            metered(command, tool.environment)
        tools.append((tool, folder / name))
    for step in STEPS:
        for tool, place in tools:
            if step in tool.steps:
                done.take(tool, step, server, place)
                cost = done.costs[tool.name][step]
                print(f"  {step} {tool.name}: {cost.wall:.1f} s, CPU {cost.cpu:.2f} s", file=sys.stderr, flush=True)
    for tool, place in tools:
        assert_restored(tool, place, trees)
    for bucket in ("platform", "restic", "rclone"):
        if bucket in {one["Name"] for one in client.list_buckets()["Buckets"]}:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            done.stored[bucket] = sum(one["Size"] for page in pages for one in page.get("Contents", ()))
    return done


def assert_restored(tool: Tool, folder: Path, trees: Trees) -> None:
    """See that as many files and bytes came back as there were."""
    if "restore" in tool.steps:
        sizes = [path.stat().st_size for path in (folder / "back").rglob("*") if path.is_file()]
        if (len(sizes), sum(sizes)) != (trees.files, trees.size):
            raise RuntimeError(f"{tool.name} restored {len(sizes)} files of {trees.files}, {sum(sizes)} bytes")
        shutil.rmtree(folder / "back")


def compared(rounds: list[Round]) -> dict[str, float]:
    """Return our figures against the others', medians over rounds."""

    def ratio(step: str, what: str, other: str = "restic") -> float | None:
        pairs = [(one.costs["data-platform"][step], one.costs[other][step]) for one in rounds if other in one.costs]
        return statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs) if pairs else None

    figures = {
        "first_cpu_vs_restic": ratio("first", "cpu"),
        "first_wall_vs_restic": ratio("first", "wall"),
        "first_cpu_vs_limit": ratio("first", "cpu", "loop"),
        **{f"{step}_vs_restic": ratio(step, "wall") for step in STEPS[1:]},
        **{f"{step}_cpu_vs_restic": ratio(step, "cpu") for step in ("verify", "restore")},
        "peak_mib": max(cost.peak_mib for one in rounds for cost in one.costs["data-platform"].values()),
    }
    if requests := rounds[-1].requests.get("unchanged"):
        figures["requests_unchanged"] = requests["req"]
        figures["puts_copied"] = rounds[-1].requests["copied"]["put"]
    if "restic" in rounds[-1].stored:
        figures["stored_vs_restic"] = rounds[-1].stored["platform"] / rounds[-1].stored["restic"]
    return {name: round(value, 3) for name, value in figures.items() if value is not None}


def shown(rounds: list[Round]) -> None:
    """Print what every step of every tool cost."""
    for tool in rounds[0].costs:
        rows = []
        for step in rounds[0].costs[tool]:
            costs = [one.costs[tool][step] for one in rounds]
            medians = [statistics.median(cost[column] for cost in costs) for column in range(4)]
            rows.append([step, *(f"{value:,.2f}" for value in medians)])
        show(tool, ["step", "wall s", "CPU s", "of its own", "peak MiB"], rows)
    for step, requests in rounds[-1].requests.items():
        if requests:
            print(f"\n  requests of ours, {step}: {requests}")
    for bucket, size in rounds[-1].stored.items():
        print(f"  stored by {bucket}: {size / MIB:,.1f} MiB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--files", type=int, default=25_000, help="of the tree")
    parser.add_argument("--large", type=int, default=1024, help="MiB of each of the large files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=TOOLS, default=list(TOOLS), help="tools to run")
    asked = parser.parse_args()
    files, large, count = (300, 12, 1) if asked.small else (asked.files, asked.large, asked.rounds)
    programs = {name for name in ("restic", "rclone", "borg") if shutil.which(name) is None}
    wanted = ["data-platform", "restic", "loop"] if asked.small else asked.only
    names = [name for name in wanted if name not in programs]
    print(machine())
    with tempfile.TemporaryDirectory(prefix="backup-", dir=os.environ.get("TMPDIR")) as folder:
        trees, rounds = grow(Path(folder), files, large), []
        print(f"{trees.files:,} files, {trees.size / MIB:,.0f} MiB", flush=True)
        for number in range(count):
            place = Path(folder) / f"round {number}"
            with s3_server(place / "server") as (server, kind):
                rounds.append(run_round(server, place / "tools", trees, names[::-1] if number % 2 else names))
            shutil.rmtree(place)
    shown(rounds)
    facts = {"benchmark": "backup", "files": trees.files, "mib": round(trees.size / MIB), "server": kind}
    print(json.dumps({**facts, "rounds": count, "missing": sorted(programs), **compared(rounds)}))


if __name__ == "__main__":
    main()
