"""Following who works at a company of 20,000 users and 541 groups, throttled and failing at times.

A stand-in serves the directory over HTTPS in this process. Everybody is synced from nothing, then
after each of ten rounds of random changes: people are hired, renamed, transferred, disabled,
deleted, restored and purged, groups are founded and dissolved, members come and go. One request
in fifty is throttled and one in two hundred fails; before the fifth round the service forgets
our place in its lists of changes. After every round all accounts, groups and memberships, those
through other groups included, are compared with the server's own objects. The least possible
number of requests is one for each page of what there is to tell, and each that failed once more.

Run as ``python -m benchmarks.people [--small]``. The last line is a JSON object:

``differences``
    accounts, groups and memberships that are not as the server has them, over all rounds
``requests_over_least``
    requests of all syncs over the least possible
``impatient``
    requests made while told to wait
``throttled``, ``failed``
    requests that were
``first_seconds``, ``round_seconds``
    CPU time of the first sync, and of one after a round of changes, client and stand-in together
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._servers import deployed
from benchmarks._timing import machine, show
from schemas.binding import Binding

# isort: split
# Found once `benchmarks._servers` has been imported.
import pytest
from directory_world import Office, misplaced, noted, office, real
from servers.microsoft365 import Tenant
from servers.microsoft365.crowd import Staff, grow

FULL = {"users": 20_000, "sites": 500, "acts": 1_000, "page": 20}
SMALL = {"users": 600, "sites": 20, "acts": 60, "page": 2}
ROUNDS = 10
FORGETS = 5  # the round before which the service forgets where we were
THROTTLED, FAILED = 50, 199  # no multiple of the other, or none would fail that is not throttled


def differences(here: Office, binding: Binding) -> int:
    """Return how many accounts and groups are not as the server has them, and how many people work elsewhere."""
    theirs, ours = real(here), noted(here, binding)
    found = sum(_unlike(theirs[name], ours[name]) for name in theirs)
    return found + len(misplaced(binding))


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> int:
    return sum(1 for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def least(world: Tenant, before: tuple[int, int], *, full: bool) -> int:
    """Return how many requests a sync takes at least; `before` is how long the logs were at the last one."""
    users, groups = set(world.user_log[before[0] :]), set(world.group_log[before[1] :])
    services = 1
    if full:
        there = sum(1 for user in world.users.values() if user.deleted is None)
        listed = [group for group in world.groups.values() if not group.purged]
        return services + 1 + math.ceil(there / world.pages.users_most) + _pages(len(listed), world.pages.groups_delta)
    return services + _pages(len(users), world.pages.users_delta) + _pages(len(groups), world.pages.groups_delta)


def _pages(things: int, size: int) -> int:
    return max(1, math.ceil(things / size))


def run(binding: Binding, here: Office, acts: int) -> dict[str, float]:
    """Sync from nothing and after each round of changes; return what the module's docstring names."""
    world, faults = here.world, here.server.faults
    faults.throttle_every, faults.fail_every, faults.wait_seconds = THROTTLED, FAILED, 0.128
    staff = Staff(world, seed=3)
    seconds: list[float] = []
    needed, unlike, place = 0, 0, (0, 0)
    for number in range(ROUNDS + 1):
        if number:
            staff.change(acts)
        forgotten = number == FORGETS
        if forgotten:
            world.forget_directory_deltas()
        # Whoever asks from a place that is forgotten learns that first, once for each list.
        needed += least(world, place, full=number == 0 or forgotten) + 2 * forgotten
        place = (len(world.user_log), len(world.group_log))
        start = time.process_time()
        done = here.sync(binding, allow_drop=True)
        seconds.append(time.process_time() - start)
        unlike += (wrong := differences(here, binding))
        print(f"round {number}: {done.told:,} told, {seconds[-1]:.1f} s, {wrong} differences", flush=True)
    needed += sum(1 for one in here.server.requests if one.status in (429, 500))
    return {
        "differences": unlike,
        "requests_over_least": round(here.server.count("^[A-Z]+ /v1.0/") / needed, 3),
        "impatient": len(faults.impatient),
        "throttled": faults.throttled,
        "failed": faults.failed,
        "accounts": len(real(here)["people"]),
        "groups": len(real(here)["groups"]),
        "first_seconds": round(seconds[0], 1),
        "round_seconds": round(sorted(seconds[1:])[ROUNDS // 2], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="600 users and 20 sites")
    sizes = SMALL if parser.parse_args().small else FULL
    print(machine())
    world = Tenant("contoso", seed=1)
    grow(world, users=sizes["users"], sites=sizes["sites"], items=sizes["users"])
    world.pages.users_most = 999
    # Few requests are made, so pages are small: else hardly one of them would meet a fault.
    world.pages.users_delta = world.pages.groups_delta = sizes["page"]
    world.quirks.repeat_in_delta = True
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        pytest.MonkeyPatch.context() as patch,
        office(patch, world) as here,
        deployed("postgresql", Path(folder)) as (binding, _),
    ):
        found = run(binding, here, sizes["acts"])
    show("People at Microsoft 365", ["", "value"], [[name, f"{value:,}"] for name, value in found.items()])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
