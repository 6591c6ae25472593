"""Following a company of 20,000 users, 500 sites and 200,000 items at Microsoft 365, throttled and failing at times.

A stand-in serves the company over HTTPS in a process of its own. It is synced from nothing, then
after each of ten rounds of random changes; one request in fifty is throttled and one in two
hundred fails. Afterwards every item and every grant in the database is compared with the
server's own objects. The least possible number of requests is what a client that knew all
answers beforehand would still have to ask: each page of each drive's list of changes, and a
twentieth, for twenty go in one, of the items whose permissions have changed; and each request
that failed once more.

Run as ``python -m benchmarks.microsoft365 [--small]``. The last line is a JSON object:

``requests_over_least``
    requests of all syncs over the least possible
``impatient``
    requests made while told to wait
``first_seconds``, ``round_seconds``
    the first sync, and one after a round of changes
``differences``
    items and grants that are not as the server has them
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks._servers import deployed
from benchmarks._timing import machine, show
from data_platform.settings import Settings, load
from populate.lookup import add
from populate.sharing.permissions import held
from populate.sharing.progress import Silent
from populate.sharing.sync import sync_sharing
from populate.sharing.tree import Tree
from readers.transport import tls_context
from schemas.binding import Binding
from schemas.catalogue import File, SourceSystem
from schemas.following import FollowedDrive
from schemas.identity import account_id, file_id, identity

# isort: split
# Found once `benchmarks._servers` has been imported.
from servers.microsoft365 import Tenant
from servers.microsoft365.changes import Busy
from servers.microsoft365.crowd import grow
from servers.microsoft365.library import Drive, Item
from servers.microsoft365.server import Server

FULL = {"users": 20_000, "sites": 500, "items": 200_000, "read": 2_000, "acts": 5_000}
SMALL = {"users": 300, "sites": 20, "items": 3_000, "read": 40, "acts": 200}
ROUNDS = 10
THROTTLED, FAILED = 50, 199  # no multiple of the other, or none would fail that is not throttled
AT_ONCE = 20
"""Requests in a batch."""


class Company:
    """The stand-in, and what of it is followed: all sites, and some files in people's own drives."""

    def __init__(self, world: Tenant, server: Server, sizes: dict[str, int], home: Path) -> None:
        self.world, self.server = world, server
        app = world.add_application("bench", application="Files.Read.All Sites.FullControl.All User.Read.All")
        self.named = [site.drive for site in world.sites.values() if site.group is not None]
        private = [drive for drive in world.drives.values() if drive not in self.named]
        files = [item for drive in private for item in drive.items.values() if item.is_file]
        self.read = Random(1).sample(files, k=min(len(files), sizes["read"]))
        given = server.settings(app)
        given["microsoft365"]["follow"] = tuple(f"{drive.site.host}{drive.site.path}" for drive in self.named)
        self.settings: Settings = load(home=home, **given)
        self.realm = f"entra/{world.tenant_id}"

    @property
    def private(self) -> list[Drive]:
        """Drives of people in which somebody read a file."""
        return list({item.drive.id: item.drive for item in self.read}.values())

    def note_reads(self) -> None:
        """Have the catalogue know the files that were read."""
        systems = {system_of(item.drive) for item in self.read}
        add(SourceSystem, [{"source_system": one, "source_kind": "microsoft365"} for one in sorted(systems)])
        files = {key_of(item): (system_of(item.drive), f"{item.drive.id}/{item.id}") for item in self.read}
        rows = [{"file_id": key, "source_system": place[0], "item_id": place[1]} for key, place in files.items()]
        add(File, sorted(rows, key=lambda row: row["file_id"]))

    def asked(self) -> int:
        """Return the number of requests to Graph so far, a batch as one."""
        return self.server.count("^[A-Z]+ /v1.0/")


def system_of(drive: Drive) -> str:
    return f"microsoft365/{drive.site.host}"


def key_of(item: Item) -> str:
    return file_id(system_of(item.drive), f"{item.drive.id}/{item.id}")


def least(company: Company, before: dict[str, int], first: bool) -> int:
    """Return how many requests a sync takes at least; `before` is how long the drives' logs were, and is renewed."""
    world, pages, single = company.world, 0, 0
    read = {item.id for item in company.read}
    for drive in [*company.named, *company.private]:
        known = before.get(drive.id, 0)
        whole = drive.site.group is not None
        changed = {key for key in drive.log[known:] if key in drive.items or (known and key in drive.bin)}
        told = 0 if first and not whole else len(changed)
        pages += max(1, math.ceil(told / world.pages.drive_delta))
        items = [drive.items[key] for key in changed if key in drive.items]
        single += _of_whole(items, known) if whole else _of_read(items, read, first)
        before[drive.id] = len(drive.log)
    if first:
        single += len(company.named) + len(company.private)  # which drives there are
    return pages + math.ceil(single / AT_ONCE)


def _of_whole(items: list[Item], known: int) -> int:
    """Return how many permissions have to be asked for, of what has changed in a site."""
    return sum(1 for item in items if item.permissions or item.shared_change > known or item.parent is None)


def _of_read(items: list[Item], read: set[str], first: bool) -> int:
    """Return how many questions there are about files that were read: permissions, versions, at first places."""
    files = [item for item in items if item.id in read]
    folders = {above.id for item in files for above in item.chain() if above is not item}
    return 3 * len(files) + len(folders) if first else 2 * len(files)


def differences(company: Company) -> int:
    """Return how many items and grants are not as the server has them."""
    keys = {row["source_drive"]: row["drive_key"] for row in FollowedDrive.to_dicts()}
    read = {key_of(item) for item in company.read}
    found = 0
    for drive in [*company.named, *company.private]:
        whole = drive.site.group is not None
        tree = Tree(keys[drive.id])
        noted = {key: (tree.path(key), one.token) for key, one in tree.load_all().items() if one.kind != "gone"}
        real = {key_of(item): ("/".join(item.parts), item.e_tag) for item in drive.items.values()}
        wanted = real if whole else {key: one for key, one in real.items() if key in read or key in noted}
        found += len(noted.items() ^ wanted.items())
        found += _grants_that_differ(company, [*drive.items.values()], read, whole)
    return found


def _grants_that_differ(company: Company, items: list[Item], read: set[str], whole: bool) -> int:
    wanted = {key_of(item): item for item in items if (item.permissions if whole else key_of(item) in read)}
    noted = held(wanted.keys())
    return sum(set(noted.get(key, {})) != _grantees(company, item) for key, item in wanted.items())


def _grantees(company: Company, item: Item) -> set[str]:
    found = set()
    for permission, _ in company.world.of(item):
        keys = [permission.grantee or permission.email]
        if permission.link is not None:
            found.add(identity("link", permission.id))
            keys = [*permission.link.people, *permission.link.redeemed]
        for key in keys:
            is_group = key in company.world.groups
            found.add(identity("group", company.realm, key) if is_group else account_id(company.realm, key))
    return found


@contextmanager
def served(world: Tenant) -> Iterator[Server]:
    """Serve the company; this process trusts its certificates for so long."""
    with world.serve() as server:
        os.environ["SSL_CERT_FILE"] = str(server.ca)
        tls_context.cache_clear()
        try:
            yield server
        finally:
            del os.environ["SSL_CERT_FILE"]
            tls_context.cache_clear()


def run(binding: Binding, company: Company, sizes: dict[str, int]) -> dict[str, float]:
    """Sync from nothing and after each round of changes; return what the module's docstring names."""
    company.note_reads()
    faults = company.server.faults
    faults.throttle_every, faults.fail_every = THROTTLED, FAILED
    people = [user for user in company.world.users.values() if not user.guest][:500]
    busy = Busy(company.world, people, seed=3)
    logs: dict[str, int] = {}
    seconds: list[float] = []
    needed = 0
    for number in range(ROUNDS + 1):
        needed += least(company, logs, first=number == 0)
        start = time.perf_counter()
        done = sync_sharing(binding, company.settings, progress=Silent())
        seconds.append(time.perf_counter() - start)
        print(f"round {number}: {done.items:,} items, {done.granted:,} grants, {seconds[-1]:.1f} s", flush=True)
        if number < ROUNDS:
            busy.change([*company.named, *company.private], sizes["acts"])
    # What failed as a whole has to be asked again; parts of batches that did are not counted.
    needed += sum(1 for one in company.server.requests if one.status in (429, 500))
    return {
        "requests_over_least": round(company.asked() / needed, 3),
        "impatient": len(faults.impatient),
        "first_seconds": round(seconds[0], 1),
        "round_seconds": round(sorted(seconds[1:])[ROUNDS // 2], 1),
        "differences": differences(company),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="300 users, 20 sites and 3,000 items")
    sizes = SMALL if parser.parse_args().small else FULL
    print(machine())
    world = Tenant("contoso", seed=1)
    grow(world, users=sizes["users"], sites=sizes["sites"], items=sizes["items"])
    world.quiet = True  # the audit log is another matter
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, served(world) as server:
        company = Company(world, server, sizes, Path(folder) / "home")
        with deployed("postgresql", Path(folder)) as (binding, _):
            found = run(binding, company, sizes)
    show("Microsoft 365", ["", "value"], [[name, f"{value:,}"] for name, value in found.items()])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
