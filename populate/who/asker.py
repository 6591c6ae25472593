"""Who asks, what they may be told of, and whom they may be pointed to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from data_platform.errors import RestrictionError
from data_platform.settings import Settings
from populate.directory.members import groups_of
from populate.who.statements import statement
from readers.event import consumer
from schemas.asking import CompanyAskChoice, PersonAskChoice
from schemas.binding import Binding
from schemas.identity import account_id
from schemas.people import Account, Person
from schemas.restrict import where

FOREVER = date(9999, 12, 31)
CHOICES = ("closed", "known", "open")
DEFAULT_CHOICE = "known"
_UNKNOWN = "The catalogue does not know you yet. Read a file first, or ask your data steward."


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody whom the asker may be pointed to."""

    person_id: str
    name: str
    department: str
    title: str


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever asks, at a moment (UTC, naive); everything is looked up as they may see it.

    Attributes
    ----------
    person_id
        Empty if the catalogue does not know them: they are then told what everybody may know.
    accounts
        All logins of the person.
    groups
        That any of these is in, be it by way of another group.
    """

    binding: Binding
    person_id: str
    accounts: tuple[str, ...]
    now: datetime
    default: str
    groups: tuple[str, ...] = ()
    _colleagues: dict[str, Colleague | None] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """What the fragments of `populate.who.statements` need to know of the asker."""
        return {
            "mine": self.accounts,
            "groups": self.groups or ("",),
            "me": self.person_id,
            "now": self.now,
            "today": self.now.date(),
            "forever": FOREVER,
            "default": self.default,
        }

    def ask(self, name: str, columns: tuple[str, ...] = (), **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one of `populate.who.statements`; `columns` have to contain one of ``terms``."""
        terms: Collection[str] = values.pop("terms", ())
        values |= {f"term{n}": f"%{pattern(term)}%" for n, term in enumerate(terms)}
        values = {name: ("",) if value == () else value for name, value in values.items()}  # SQL knows no empty list
        values |= self.values
        self.binding.ensure()
        return list(self.binding.connection.query(statement(name, columns, len(terms)), values).fetchall())

    def size(self, part: str) -> int:
        """Return how many files, scripts or people in the directory there are that the asker may be told of."""
        if part not in self._sizes:
            self._sizes[part] = int(self.ask(f"{part}_size")[0][0])
        return self._sizes[part]

    def colleagues(self, people: Collection[str]) -> dict[str, Colleague]:
        """Return those of `people` who may be named: no service, nobody who left or chose not to be."""
        wanted = sorted(set(people) - set(self._colleagues))
        if wanted:
            self._colleagues.update(dict.fromkeys(wanted))
            for person_id, name, _, department, title in self.ask("people", people=tuple(wanted)):
                self._colleagues[person_id] = Colleague(person_id, name, department, title)
        return {person: found for person in sorted(people) if (found := self._colleagues[person])}

    def open_people(self, people: Collection[str]) -> set[str]:
        """Return those of `people` who may be named by files that the asker cannot see."""
        return {row[0] for row in self.ask("open", people=tuple(sorted(people)))} if people else set()


def pattern(term: str) -> str:
    """Return what finds a word in lower-cased text, and maybe more.

    PostgreSQL may lower only the letters of ASCII, so any other letter that has two cases stands for any one.
    """
    return "".join(c if c.isascii() or c.lower() == c.upper() else "_" for c in term)


def asker(binding: Binding, settings: Settings, now: datetime | None = None) -> Asker:
    """Return who asks in this process: whoever its reads are recorded for."""
    login = consumer(settings, None).login
    return asker_of(binding, account_id(login.realm, login.name), now)


def asker_of(binding: Binding, account: str, now: datetime | None = None) -> Asker:
    """Return who asks by one of their logins, as somebody who signed in at the dashboard does.

    Parameters
    ----------
    account
        Identity of the login (`schemas.identity.account_id`); the catalogue need not know it.
    now
        Moment of the question; one without time zone is UTC.
    """
    people = where(Account, account_id=account).to_arrays("person_id")
    person = str(people[0]) if len(people) else ""
    accounts = tuple(sorted(where(Account, person_id=person).to_arrays("account_id"))) if person else (account,)
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) if now is None or now.tzinfo else now
    return Asker(binding, person, accounts, moment, default_choice(moment), tuple(sorted(groups_of(accounts))))


def default_choice(now: datetime) -> str:
    """Return what holds at a moment (UTC, naive) for whoever has not chosen."""
    chosen = [row for row in CompanyAskChoice.to_dicts() if row["company_chosen_at"] <= now]
    return str(max(chosen, key=lambda row: row["company_chosen_at"])["ask_choice"]) if chosen else DEFAULT_CHOICE


def choose(asker: Asker, choice: str) -> None:
    """Record how far the asker lets colleagues be pointed to them, from now on.

    Raises
    ------
    RestrictionError
        If there is no such choice, or the catalogue does not know the asker.
    """
    if choice not in CHOICES:
        raise RestrictionError(f"{choice!r} is no choice. Choose one of {', '.join(CHOICES)}.")
    if not asker.person_id:
        raise RestrictionError(_UNKNOWN)
    PersonAskChoice.insert1({"person_id": asker.person_id, "chosen_at": asker.now, "ask_choice": choice})


def chosen(asker: Asker) -> str:
    """Return how far the asker lets colleagues be pointed to them."""
    rows = where(PersonAskChoice, person_id=asker.person_id).to_dicts() if asker.person_id else []
    rows = [row for row in rows if row["chosen_at"] <= asker.now]
    return str(max(rows, key=lambda row: row["chosen_at"])["ask_choice"]) if rows else asker.default


def find_colleague(asker: Asker, name: str) -> Colleague:
    """Return the colleague of that login, name or id.

    Raises
    ------
    RestrictionError
        If there is none who may be named, or several; whoever chose not to be named is no different
        from somebody who does not exist.
    """
    wanted = name.strip()
    found = _people(wanted)
    colleagues = asker.colleagues(found)
    if len(colleagues) == 1:
        return next(iter(colleagues.values()))
    if colleagues:
        raise RestrictionError(f"{len(colleagues)} people are called {wanted!r}. Give the login.")
    raise RestrictionError(f"Nobody here is called {wanted!r}. Give a login or a full name.")


def oneself(asker: Asker) -> Colleague:
    """Return the asker, whatever they chose.

    Raises
    ------
    RestrictionError
        If the catalogue does not know them.
    """
    if not asker.person_id:
        raise RestrictionError(_UNKNOWN)
    department = dict(asker.ask("departments", people=(asker.person_id,)))
    name = str(where(Person, person_id=asker.person_id).fetch1("full_name"))
    return Colleague(asker.person_id, name, department.get(asker.person_id, ""), "")


def _people(name: str) -> set[str]:
    rows: list[Mapping[str, Any]] = (
        where(Account, login=name.casefold()).to_dicts() or where(Account, login=name).to_dicts()
    )
    rows = rows or where(Person, full_name=name).to_dicts() or where(Person, person_id=name).to_dicts()
    return {str(row["person_id"]) for row in rows}
