"""Ten rounds of random changes, with faults: afterwards our rows are the server's state exactly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.microsoft365.changes import Busy
from servers.microsoft365.library import Drive, Item
from sharing_world import Company, company, noted_grants, noted_items, real_grants, real_items

from schemas.binding import Binding
from schemas.following import ItemState
from schemas.identity import file_id
from schemas.sharing import Permission

ROUNDS, ACTS = 10, 25


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        yield found


def key_of(item: Item) -> str:
    return file_id(f"microsoft365/{item.drive.site.host}", f"{item.drive.id}/{item.id}")


def alike(firm: Company, named: list[Drive], read: list[Item]) -> None:
    """Compare everything that is followed with what the server has."""
    assert noted_items(named) == real_items(named)
    drives = {item.drive.id: item.drive for item in read}.values()
    real, noted = real_items(drives), noted_items(drives)
    assert noted.items() <= real.items()
    assert {key_of(item) for item in read if not item.deleted} <= noted.keys()
    with_rows = set(Permission.to_arrays("file_id"))
    items = {key_of(item): item for drive in [*named, *drives] for item in drive.items.values()}
    own = {key for key, item in items.items() if item.permissions and item.drive in named}
    assert own <= with_rows
    followed = {key for key in with_rows | {key_of(item) for item in read} if key in items}
    assert noted_grants(followed) == {key: real_grants(firm, items[key]) for key in followed}
    assert not any(noted_grants(with_rows - items.keys()).values())  # what is gone is nobody's


def test_ten_rounds_of_changes_end_in_the_state_of_the_server(binding: Binding, firm: Company) -> None:
    ten_rounds(binding, firm, quirky=False)


@pytest.mark.parametrize("backend", ["postgresql"])  # what the source is like has nothing to do with it
def test_so_they_do_where_the_source_forgets_repeats_and_leaves_out(binding: Binding, firm: Company) -> None:
    ten_rounds(binding, firm, quirky=True)


def ten_rounds(binding: Binding, firm: Company, *, quirky: bool) -> None:
    world = firm.world
    people = [world.add_user(f"Person {number}") for number in range(6)]
    named = [world.add_site(f"Site {number}", *people[:3]).drive for number in range(2)]
    private = world.add_drive(people[0])
    busy = Busy(world, people, seed=11)
    busy.change([*named, private], 60)
    read = [item for item in private.items.values() if item.is_file][:4]
    for item in read:
        firm.read(binding, item, people[1])
    firm.follow = [f"{drive.site.host}{drive.site.path}" for drive in named]
    world.pages.drive_delta = 7
    world.quirks.folder_alone_in_delta = world.quirks.repeat_in_delta = quirky
    firm.server.faults.throttle_every, firm.server.faults.fail_every = 25, 97
    firm.server.faults.wait_seconds = 0.013
    for number in range(ROUNDS):
        firm.sync(binding)
        if number in (0, ROUNDS // 2):
            alike(firm, named, read)
        if number == ROUNDS // 2 and quirky:
            world.forget_delta(named[0])
            world.forget_delta(private, "resyncRequired")
        busy.change([*named, private], ACTS)
    firm.sync(binding)
    alike(firm, named, read)
    before = ItemState.to_dicts(order_by="KEY"), Permission.to_dicts(order_by="KEY")
    firm.sync(binding, full=True)  # who asks for everything again finds nothing new
    assert (ItemState.to_dicts(order_by="KEY"), Permission.to_dicts(order_by="KEY")) == before
    alike(firm, named, read)
