"""Who may know a file because a group may that they are in, be it by way of another group."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from small_company import MONDAY, REALM, asking, deliver, path_id, person

from data_platform.settings import settings
from populate.directory.group_rows import group_id
from populate.directory.members import groups_of, members_of
from populate.directory.picture import Picture, Said
from populate.directory.sync import take_in
from populate.who.whom import about_text
from schemas.binding import Binding
from schemas.sharing import Permission

DAY = datetime(2026, 5, 20, 9)
INNER, OUTER = group_id(REALM, "inner"), group_id(REALM, "outer")


@pytest.fixture(autouse=True)
def _realm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    settings.cache_clear()


def told(*members: str, nested: bool = True) -> Picture:
    """Return a company of three, a group of some of them, and a group that contains that one, and itself."""
    picture = Picture(REALM)
    for login in ("amy", "ben", "maria"):
        picture.person(login, Said({"name": login.title()}, "enabled"))
    inner, outer = picture.group("inner"), picture.group("outer")
    inner.complete = outer.complete = True
    inner.members = dict.fromkeys(members, True)
    outer.nested = {"inner": True, "outer": True} if nested else {}
    inner.nested = {"outer": True}  # a circle
    return picture


def names(binding: Binding, login: str) -> list[str]:
    return [one.name for one in about_text(asking(binding, login), "flow plate", 5)]


def test_a_group_of_a_group_makes_a_file_known_as_long_as_one_is_in_it(binding: Binding) -> None:
    deliver(binding, [("maria", "/flow plate.csv", "amy", 1)], batch="1")
    take_in(binding, "test", lambda positions: told("ben"), now=DAY)
    assert names(binding, "ben") == []
    grant = {"file_id": path_id("/flow plate.csv"), "grantee_id": OUTER, "granted_since": MONDAY, "grantee": "Outer"}
    Permission.insert1(grant | {"grantee_kind": "group", "permission_level": "read"})
    assert groups_of([person("ben")]) == {INNER, OUTER}
    assert members_of(binding, [OUTER]) == {OUTER: {person("ben")}}
    assert "Amy" in names(binding, "ben")
    take_in(binding, "test", lambda positions: told("ben", nested=False), now=DAY + timedelta(hours=1))
    assert groups_of([person("ben")]) == {INNER}
    assert names(binding, "ben") == []
    take_in(binding, "test", lambda positions: told("ben"), now=DAY + timedelta(hours=2))
    assert "Amy" in names(binding, "ben")
    take_in(binding, "test", lambda positions: told(), now=DAY + timedelta(hours=3))
    assert groups_of([person("ben")]) == frozenset()
    assert names(binding, "ben") == []
