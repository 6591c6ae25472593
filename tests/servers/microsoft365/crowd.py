"""A large company, made in a few seconds, and what its directory goes through in a day."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from servers.microsoft365.contents import Content
from servers.microsoft365.library import Drive
from servers.microsoft365.people import Group, User
from servers.microsoft365.tenant import Tenant

_GIVEN = ("Amy", "Bob", "Colin", "Dana", "Erik", "Fatma", "Gita", "Hans", "Ines", "Jun", "Kofi", "Lena", "Marta")
_FAMILY = ("Adams", "Brown", "Chen", "Diaz", "Ekman", "Gupta", "Haas", "Ito", "Jansen", "Kaya", "Lopez", "Müller")
_TITLES = ("Scientist", "Senior Scientist", "Engineer", "Technician", "Data Analyst")
_DEPARTMENTS = 40
_REPORTS = 8  # people to a manager
_FILES_IN_FOLDER = 25
_OF_SITES = 0.7  # of all items; the others are in people's own drives


def grow(tenant: Tenant, users: int = 20_000, sites: int = 500, items: int = 200_000, seed: int = 1) -> None:
    """Fill a tenant with people, groups, sites and items; nothing of it is in the audit log."""
    chance = Random(seed)
    quiet, tenant.quiet = tenant.quiet, True
    try:
        people = _hire(tenant, chance, users)
        _departments(tenant, people)
        drives = [_site(tenant, chance, people, number) for number in range(sites)]
        own = [tenant.add_drive(person) for person in people[: max(1, users // 20)]]
        wanted = items - len(tenant.drives)
        in_sites = int(wanted * _OF_SITES)
        _fill(tenant, chance, drives, in_sites)
        _fill(tenant, chance, own, wanted - in_sites)
    finally:
        tenant.quiet = quiet


def _hire(tenant: Tenant, chance: Random, count: int) -> list[User]:
    people: list[User] = []
    for number in range(count):
        name = f"{chance.choice(_GIVEN)} {chance.choice(_FAMILY)}"
        if number % 20 == 19:
            people.append(tenant.invite_guest(f"guest{number}@fabrikam.com", name))
            continue
        people.append(
            tenant.add_user(
                name,
                login=f"{name.lower().replace(' ', '.')}.{number}".replace("ü", "u"),
                manager=people[(number - 1) // _REPORTS] if number else None,
                department=f"Department {number % _DEPARTMENTS}",
                jobTitle=chance.choice(_TITLES),
                employeeId=str(100_000 + number),
                onPremisesSamAccountName=f"user{number}",
                accountEnabled=number % 50 != 49,
            )
        )
    return people


def _departments(tenant: Tenant, people: list[User]) -> None:
    inner: list[Group] = []
    for number in range(_DEPARTMENTS):
        members = [person for person in people if person.properties.get("department") == f"Department {number}"]
        inner.append(tenant.add_group(f"All of department {number}", *members))
    tenant.add_group("Everybody", *inner)


def _site(tenant: Tenant, chance: Random, people: list[User], number: int) -> Drive:
    members = chance.sample(people, k=min(len(people), chance.randrange(5, 40)))
    return tenant.add_site(f"Lab {number}", *members).drive


def _fill(tenant: Tenant, chance: Random, drives: list[Drive], count: int) -> None:
    """Spread items over drives: folders, and files in them, some of which are shared."""
    made = 0
    while made < count:
        drive = drives[made // (_FILES_IN_FOLDER + 1) % len(drives)]
        folder = tenant.make_folder(drive, f"Run {made}")
        made += 1
        for number in range(min(_FILES_IN_FOLDER, count - made)):
            content = Content(seed=made, length=chance.randrange(1, 4000))
            file = tenant.upload(drive, f"{folder.name}/plate {number}.csv", content, _owner(drive))
            made += 1
            if made % 40 == 0:
                tenant.link(file, None, scope="organization")


def _owner(drive: Drive) -> User | None:
    return drive.owner if isinstance(drive.owner, User) else None


class Staff:
    """What becomes of people and groups, by chance from a seed."""

    def __init__(self, tenant: Tenant, seed: int = 1) -> None:
        self._tenant = tenant
        self._chance = Random(seed)
        self._hired = 0

    def change(self, times: int) -> None:
        """Do so many things."""
        acts: list[tuple[Callable[[], object], int]] = [
            (self._hire, 3),
            (self._promote, 4),
            (self._transfer, 3),
            (self._rename, 2),
            (self._switch, 2),
            (self._leave, 2),
            (self._return, 1),
            (self._purge, 1),
            (self._join, 4),
            (self._part, 3),
            (self._found, 1),
            (self._dissolve, 1),
        ]
        for act in self._chance.choices([act for act, _ in acts], [weight for _, weight in acts], k=times):
            act()

    def _hire(self) -> None:
        self._hired += 1
        name = f"{self._chance.choice(_GIVEN)} New{self._hired}"
        self._tenant.add_user(name, manager=self._person(), department=self._department())

    def _promote(self) -> None:
        self._tenant.update_user(self._person(), jobTitle=self._chance.choice(_TITLES))

    def _transfer(self) -> None:
        person, manager = self._person(), self._person()
        self._tenant.update_user(person, department=self._department())
        self._tenant.set_manager(person, manager if manager is not person else None)

    def _rename(self) -> None:
        self._hired += 1
        self._tenant.rename_user(self._person(), f"{self._chance.choice(_GIVEN)} Renamed{self._hired}")

    def _switch(self) -> None:
        person = self._person()
        (self._tenant.disable if person.enabled else self._tenant.enable)(person)

    def _leave(self) -> None:
        self._tenant.delete_user(self._person())

    def _return(self) -> None:
        if gone := self._gone():
            self._tenant.restore_user(self._chance.choice(gone))

    def _purge(self) -> None:
        if gone := self._gone():
            self._tenant.purge_user(self._chance.choice(gone))

    def _join(self) -> None:
        self._tenant.add_member(self._group(), self._person())

    def _part(self) -> None:
        group = self._group()
        members = [key for key in group.members if key in self._tenant.users]
        if members:
            self._tenant.remove_member(group, self._tenant.users[self._chance.choice(members)])

    def _found(self) -> None:
        self._hired += 1
        self._tenant.add_group(f"Project {self._hired}", self._person(), self._person())

    def _dissolve(self) -> None:
        projects = [one for one in self._tenant.groups.values() if one.name.startswith("Project") and not one.deleted]
        if projects:
            self._tenant.delete_group(self._chance.choice(projects))

    def _person(self) -> User:
        keys = list(self._tenant.users)
        while True:
            found = self._tenant.users[self._chance.choice(keys)]
            if found.deleted is None:
                return found

    def _group(self) -> Group:
        return self._chance.choice([one for one in self._tenant.groups.values() if one.deleted is None])

    def _gone(self) -> list[User]:
        return [one for one in self._tenant.users.values() if one.deleted is not None and not one.purged]

    def _department(self) -> str:
        return f"Department {self._chance.randrange(_DEPARTMENTS)}"
