"""The people of the demo. Every one of them is invented, as are their departments and acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from schemas.identity import account_id

if TYPE_CHECKING:
    from schemas.binding import Binding

REALM = "demo"
FOUNDED = date(2026, 1, 5)


@dataclass(frozen=True, slots=True)
class Colleague:
    """An invented account holder."""

    login: str
    name: str
    department: str
    title: str
    manager: str = ""
    kind: str = "person"

    @property
    def account_id(self) -> str:
        return account_id(REALM, self.login)


PEOPLE = (
    Colleague("maria.rossi", "Maria Rossi", "Clinical", "Head of clinical data"),
    Colleague("jonas.weber", "Jonas Weber", "Clinical", "Study physician", "maria.rossi"),
    Colleague("aiko.tanaka", "Aiko Tanaka", "Biostatistics", "Lead statistician"),
    Colleague("samuel.okafor", "Samuel Okafor", "Biostatistics", "Statistician", "aiko.tanaka"),
    Colleague("priya.nair", "Priya Nair", "Oncology research", "Principal scientist"),
    Colleague("lukas.novak", "Lukas Novak", "Oncology research", "Scientist", "priya.nair"),
    Colleague("chen.wei", "Chen Wei", "Data science", "Head of data science"),
    Colleague("elena.petrova", "Elena Petrova", "Data science", "Data scientist", "chen.wei"),
    Colleague("svc-reports", "Nightly reports", "Data science", "Service account", "elena.petrova", "service"),
)
NAMES = {colleague.login: colleague.name for colleague in PEOPLE}


def seed(binding: Binding) -> None:
    """Enter the invented people as a directory would; a second time changes nothing."""
    from schemas.people import Account, Department, Membership, Person

    identity = {colleague.login: colleague.account_id for colleague in PEOPLE}
    with binding.transaction():
        Department.insert(({"department": name} for name in departments()), skip_duplicates=True)
        Person.insert(
            ({"person_id": p.account_id, "full_name": p.name, "person_kind": p.kind} for p in PEOPLE),
            skip_duplicates=True,
        )
        Account.insert(
            ({"account_id": p.account_id, "realm": REALM, "login": p.login, "person_id": p.account_id} for p in PEOPLE),
            skip_duplicates=True,
        )
        Membership.insert(
            (
                {
                    "person_id": p.account_id,
                    "member_since": FOUNDED,
                    "department": p.department,
                    "title": p.title,
                    "manager_id": identity.get(p.manager),
                }
                for p in PEOPLE
            ),
            skip_duplicates=True,
        )


def departments() -> list[str]:
    """Return the departments in order of first mention."""
    return list(dict.fromkeys(colleague.department for colleague in PEOPLE))
