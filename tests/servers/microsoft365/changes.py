"""What people do all day, by chance from a seed: for tests and benchmarks of whoever follows it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from servers.microsoft365.library import Drive, Item, Permission
from servers.microsoft365.people import User
from servers.microsoft365.tenant import Tenant


class Busy:
    """Changes drives at random.

    Parameters
    ----------
    people
        Who does it, and whom it is shared with.
    """

    def __init__(self, world: Tenant, people: list[User], seed: int) -> None:
        self._world = world
        self._people = people
        self._chance = Random(seed)
        self._number = 0
        self._acts: list[tuple[Callable[[Drive], object], int]] = [
            (self._upload, 3),
            (self._edit, 4),
            (self._rename, 2),
            (self._move, 2),
            (self._delete, 1),
            (self._restore, 1),
            (self._share, 3),
            (self._link, 2),
            (self._revoke, 3),
        ]

    def change(self, drives: list[Drive], times: int) -> None:
        """Do so many things, each in one of `drives`."""
        acts, weights = zip(*self._acts, strict=True)
        for act in self._chance.choices(acts, weights, k=times):
            act(self._chance.choice(drives))

    def _upload(self, drive: Drive) -> None:
        self._world.upload(drive, f"{self._folder_path(drive)}/{self._name()}.csv", self._bytes(), self._person())

    def _edit(self, drive: Drive) -> None:
        if (file := self._item(drive, lambda item: item.is_file)) is not None:
            self._world.edit(file, self._bytes(), self._person())

    def _rename(self, drive: Drive) -> None:
        if (item := self._item(drive)) is not None:
            self._world.rename(item, self._name(), self._person())

    def _move(self, drive: Drive) -> None:
        item = self._item(drive)
        folder = self._chance.choice([one for one in drive.items.values() if one.children is not None])
        if item is not None and item not in folder.chain() and item.name.lower() not in (folder.children or {}):
            self._world.move(item, folder, self._person())

    def _delete(self, drive: Drive) -> None:
        if (item := self._item(drive)) is not None:
            self._world.delete(item, self._person())

    def _restore(self, drive: Drive) -> None:
        whole = [one for one in drive.bin.values() if one.parent is not None and one.parent.id in drive.items]
        free = [one for one in whole if one.parent and one.name.lower() not in (one.parent.children or {})]
        if free:
            self._world.restore(self._chance.choice(free), self._person())

    def _share(self, drive: Drive) -> None:
        if (item := self._item(drive)) is not None:
            role = self._chance.choice(["read", "write"])
            self._world.share(item, self._person(), self._person(), role=role)

    def _link(self, drive: Drive) -> None:
        if (item := self._item(drive)) is not None:
            scope = self._chance.choice(["anonymous", "organization", "users"])
            people = (self._person(), self._person()) if scope == "users" else ()
            kind = self._chance.choice(["view", "edit"])
            self._world.link(item, self._person(), *people, scope=scope, kind=kind)

    def _revoke(self, drive: Drive) -> None:
        shared = [one for one in drive.items.values() if one.parent is not None and one.permissions]
        if shared:
            item = self._chance.choice(shared)
            permission: Permission = self._chance.choice(item.permissions)
            self._world.revoke(item, permission, self._person())

    def _item(self, drive: Drive, fits: Callable[[Item], bool] = lambda item: True) -> Item | None:
        found = [item for item in drive.items.values() if item.parent is not None and fits(item)]
        return self._chance.choice(found) if found else None

    def _folder_path(self, drive: Drive) -> str:
        folder = self._chance.choice([one for one in drive.items.values() if one.children is not None])
        return "/".join([*folder.parts, *([self._name()] if self._chance.random() < 0.3 else [])])

    def _name(self) -> str:
        self._number += 1
        return f"{self._chance.choice(['plate', 'assay', 'raw', 'Zürich'])} {self._number}"

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.randrange(1, 50))

    def _person(self) -> User:
        return self._chance.choice(self._people)
