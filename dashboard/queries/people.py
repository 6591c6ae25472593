"""What the pages of people ask of the tables, beside what `populate.who` answers."""

from __future__ import annotations

from schemas.binding import Binding
from schemas.people import Account, Person
from schemas.restrict import where

DEMO = "demo"  # realm of the people who were invented


def personas(binding: Binding) -> dict[str, str]:
    """Return the invented people of the demo, as whom one may look: account -> name."""
    binding.ensure()
    people = (where(Account, realm=DEMO) * where(Person, person_kind="person")).to_dicts()
    return {row["account_id"]: row["full_name"] for row in sorted(people, key=lambda row: row["full_name"])}
