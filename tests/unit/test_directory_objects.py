"""Users, groups and applications as the vendor prints them, and as nobody should."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from populate.directory.entra_objects import group_said, identifier, members, said_of, service_said
from populate.directory.picture import GroupSaid, Said

SAMPLES = Path(__file__).parents[1] / "data" / "microsoft365" / "samples" / "graph"


def sample(name: str) -> list[dict[str, Any]]:
    found = json.loads((SAMPLES / name).read_text(encoding="utf-8"))["value"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "users_delta_page2.json",
            {
                "d8c37826-ffff-4cae-b348-e2725b1e814b": Said({"name": "Testuser3"}),
                "8b1ee412-cd8f-4d59-ffff-24010edb9f1f": Said({"name": "Testuser4"}),
            },
        ),
        (
            "users_delta_last_deltalink.json",
            {
                "25dcffff-959e-4ece-9973-e5d9b800e8cc": Said({"name": "Testuser5"}),
                "f6ede700-27d0-4c42-bfb9-4dffff43c74a": Said({"name": "Testuser6"}),
            },
        ),
        ("users_delta_no_changes.json", {}),
        (
            "users_delta_removed.json",
            {
                "25dcffff-959e-4ece-9973-e5d9b800e8cc": Said({"name": "Testuser7"}),
                "8ffff70c-1c63-4860-b963-e34ec660931d": Said({}, "deleted"),
            },
        ),
        ("users_delta_minimal_no_id.json", {"": Said({"name": "Vance Adele", "title": "Product Marketing Manager"})}),
    ],
)
def test_changes_of_users_as_the_vendor_prints_them(name: str, wanted: dict[str, Said]) -> None:
    assert {identifier(found): said_of(found) for found in sample(name)} == wanted


def test_members_as_the_vendor_prints_them() -> None:
    found = members({"value": sample("group_members.json")})
    assert found == GroupSaid(members={"11111111-2222-3333-4444-555555555555": True}, complete=True)


def test_a_manager_is_the_one_that_is_there_now() -> None:
    gone = {"id": "A1", "@removed": {"reason": "deleted"}}
    assert said_of({"id": "x", "manager@delta": [gone, {"id": "B2"}]}).fields["manager"] == "b2"
    assert said_of({"id": "x", "manager@delta": [gone]}).fields["manager"] == ""
    assert said_of({"id": "x", "manager": {"id": "B2"}}).fields["manager"] == "b2"
    assert "manager" not in said_of({"id": "x"}).fields
    assert said_of({"id": "x"}, everything=True).fields["manager"] == ""


def test_null_is_no_value_and_what_is_left_out_has_not_changed() -> None:
    assert said_of({"id": "x", "department": None, "mail": None}).fields == {"department": "", "mail": ""}
    whole = said_of({"id": "x", "department": "Chemistry", "createdDateTime": "2020-01-02T03:04:05Z"}, everything=True)
    assert (whole.fields["department"], whole.fields["mail"], whole.since) == ("Chemistry", "", date(2020, 1, 2))


def test_members_of_many_kinds() -> None:
    group = GroupSaid()
    listed = [
        {"@odata.type": "#microsoft.graph.user", "id": "U"},
        {"@odata.type": "#microsoft.graph.group", "id": "G"},
        {"@odata.type": "#microsoft.graph.device", "id": "D"},
        {"@odata.type": "#microsoft.graph.servicePrincipal", "id": "S", "@removed": {"reason": "deleted"}},
        {"displayName": "without an id"},
        "not an object",
    ]
    group_said(group, {"id": "x", "displayName": "Chemists", "members@delta": listed})
    assert (group.name, group.members, group.nested) == ("Chemists", {"u": True, "s": False}, {"g": True})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("2020-01-01T00:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "@removed", "x"]), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("id", "@removed", "displayName", "userPrincipalName", "mail", "department", "jobTitle", "employeeId"),
        *("onPremisesSamAccountName", "userType", "accountEnabled", "manager", "manager@delta", "createdDateTime"),
        *("members@delta", "@odata.type", "somethingNew"),
    ]
)


@given(st.dictionaries(NAMES, VALUES), st.booleans())
def test_nothing_that_is_odd_raises(found: dict[str, Any], everything: bool) -> None:
    for said in (said_of(found, everything=everything), service_said(found)):
        assert all(isinstance(value, str) for value in said.fields.values())
        assert said.state in ("", "enabled", "disabled", "deleted")
    group = GroupSaid()
    group_said(group, found, everything=everything)
    assert isinstance(identifier(found), str)
    assert all(isinstance(key, str) and key for key in (*group.members, *group.nested))
