"""A small company with duplicates, and settings that lead to a mail server, for tests of the conversation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deliveries import hand_in, item, read
from servers.mail import MailServer

from data_platform.settings import Settings, load
from populate.ingest import Ingest
from schemas.binding import Binding
from schemas.conversation import MailAddress
from schemas.identity import account_id
from schemas.people import Account, Department, Membership, Person

PLATES = b"plates" * 100
KEY = "signs the links of these tests only"


def settings_of(server: MailServer | None = None, **questions: Any) -> Settings:
    """Return the settings in force, with a mail server and rules that suit small files."""
    mail = {"security": "none", "sender": "catalogue@example.org", "domains": ("example.org",)}
    where = {"host": server.host, "port": server.port} if server else {}
    rules = {"url": "https://catalogue.example.org", "key": KEY, "min_bytes": 1, "mails_per_day": 9}
    return load(mail={**mail, **where}, questions={**rules, **questions})


def login(person: str) -> str:
    return f"{person}@example.org"


def hire(*people: str, department: str = "Chemistry", kind: str = "person", since: date = date(2026, 1, 1)) -> None:
    """Enter people as a directory would; called by their logins, which are addresses."""
    Department.insert1({"department": department}, skip_duplicates=True)
    for person in people:
        key = person_id(person)
        Person.insert1({"person_id": key, "full_name": person.title(), "person_kind": kind})
        Account.insert1({"account_id": key, "realm": "acme", "login": login(person), "person_id": key})
        Membership.insert1({"person_id": key, "member_since": since, "department": department})


def person_id(person: str) -> str:
    return account_id("acme", login(person))


def write_to(person: str, address: str, since: date = date(2026, 1, 1)) -> None:
    MailAddress.insert1({"person_id": person_id(person), "address_since": since, "mail_address": address})


def file_of(person: str, name: str = "plates.csv") -> Any:
    return item(f"/shares/{person}/{name}", login(person))


def catalogue(binding: Binding, reads: Iterable[dict[str, object]], run: str = "run") -> None:
    """Deliver reads and enter them into the catalogue."""
    hand_in(binding, reads, run)
    Ingest.populate()


def copies(binding: Binding, *owners: str, data: bytes = PLATES, name: str = "plates.csv") -> None:
    """Let everybody in `owners` have a copy; the first one's was there first."""
    reads = [read(file_of(owner, name), "reader@example.org", data, day=day) for day, owner in enumerate(owners)]
    catalogue(binding, reads, f"copies of {name} of {owners}")


def link_in(mail: EmailMessage) -> str:
    """Return the token of the link in a mail; both parts have the same one."""
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    found = re.search(r"^https?://\S+/\?\S+", plain.get_content(), re.MULTILINE)
    assert found
    assert f'href="{found[0]}"' in html.get_content()
    return parse_qs(urlsplit(found[0]).query)["token"][0]
