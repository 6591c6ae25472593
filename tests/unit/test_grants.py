"""Permissions as the vendor prints them, and as it might: who may do what, once each."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from populate.sharing.grants import MAIL_REALM, Grant, grants, group_identity
from populate.sharing.parsing import NEVER
from schemas.identity import account_id

SAMPLES = Path(__file__).parents[1] / "data" / "microsoft365" / "samples" / "graph"
REALM = "entra/contoso"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def brief(found: list[Grant]) -> set[tuple[str, str, str]]:
    return {(grant.grantee.kind, grant.grantee.label, grant.level) for grant in found}


def test_a_list_of_links_and_an_inherited_grant() -> None:
    found = grants(sample("permissions_list_v1_inherited.json")["value"], REALM)
    assert brief(found) == {("link", "unknown", "write"), ("account", "John Doe", "write")}
    assert len(found) == 3
    (john,) = (grant for grant in found if grant.grantee.kind == "account")
    assert john.inherited
    assert john.grantee.grantee_id == account_id(REALM, "5d33dd65c6932946")
    assert {grant.link_type for grant in found} == {"edit", ""}


def test_a_link_for_the_organisation() -> None:
    (link,) = grants([sample("permission_organization_edit_link.json")], REALM)
    assert (link.grantee.kind, link.grantee.label, link.level) == ("link", "organization", "write")
    assert (link.link_scope, link.link_type, link.expires_at) == ("organization", "edit", NEVER)


def test_a_link_for_some_people_is_a_grant_to_each_and_a_link() -> None:
    found = grants([sample("permission_specific_people_link_v2.json")], REALM)
    assert brief(found) == {
        ("link", "users", "write"),
        ("account", "Misty Suarez", "write"),
        ("account", "Judith Clemons", "write"),
    }
    assert {grant.expires_at for grant in found} == {NEVER}  # the year 1 is no expiry


def test_an_accepted_invitation_is_a_grant_to_who_accepted_it() -> None:
    (found,) = grants([sample("permission_invitation_redeemed.json")], REALM)
    assert found.invitation
    assert found.grantee.login == "5d33dd65c6932946"


def test_an_invitation_with_its_end() -> None:
    (found,) = grants(sample("invite_response.json")["value"], REALM)
    assert found.expires_at == datetime(2018, 7, 15, 14)
    assert (found.grantee.login, found.level) == ("42f177f1-22c0-4be3-900d-4507125c5c20", "write")


def test_an_invitation_that_nobody_accepted_yet_goes_to_the_address() -> None:
    (found,) = grants([{"id": "9", "roles": ["read"], "invitation": {"email": "Eve@Partner.example"}}], REALM)
    assert found.grantee.grantee_id == account_id(MAIL_REALM, "eve@partner.example")
    assert found.invitation


def test_a_link_that_leads_only_those_who_may_see_it_anyway_grants_nothing() -> None:
    assert grants([{"id": "0", "roles": ["read"], "link": {"scope": "existingAccess"}}], REALM) == []


def test_one_grantee_twice_has_the_greater_level_for_as_long_as_either_holds() -> None:
    user = {"user": {"id": "A"}}
    until_friday = {
        "id": "1",
        "roles": ["write"],
        "grantedToV2": user,
        "expirationDateTime": "2026-05-08T00:00:00.1234567Z",
    }
    for_ever = {"id": "2", "roles": ["read"], "grantedToV2": user}
    for listed in ([until_friday, for_ever], [for_ever, until_friday]):
        (found,) = grants(listed, REALM)
        assert (found.level, found.expires_at) == ("write", NEVER)


def test_groups_of_the_directory_and_of_a_site_are_told_apart() -> None:
    listed = [
        {"id": "1", "roles": ["read"], "grantedToV2": {"group": {"id": "G1", "displayName": "Chemistry"}}},
        {"id": "2", "roles": ["owner"], "grantedToV2": {"siteGroup": {"id": "4", "displayName": "Lab Owners"}}},
        {"id": "3", "roles": ["write"], "grantedToIdentities": [{"application": {"id": "app"}}]},
        {"id": "4", "roles": ["read"], "grantedToV2": {"siteUser": {"loginName": "i:0#.f|membership|amy@contoso.com"}}},
        {"id": "5", "roles": ["read"], "grantedTo": {"user": {"displayName": "System Account"}}},
    ]
    assert brief(grants(listed, REALM)) == {
        ("group", "Chemistry", "read"),
        ("group", "Lab Owners", "owner"),
        ("application", "app", "write"),
        ("account", "amy@contoso.com", "read"),
        ("unknown", "System Account", "read"),
    }


def test_each_site_has_groups_of_its_own() -> None:
    listed = [{"id": "1", "roles": ["read"], "grantedToV2": {"siteGroup": {"id": "5", "displayName": "Lab Members"}}}]
    one, same, other = (grants(listed, REALM, site)[0].grantee.grantee_id for site in ("s1", "s1", "s2"))
    assert one == same != other


def test_a_group_of_the_directory_is_known_by_its_claim() -> None:
    key = "86eb4c8e-0000-4000-8000-00000000abcd"
    for claim in ("c:0t.c|tenant|", "C:0O.C|FederatedDirectoryClaimProvider|"):
        member = {"loginName": f"{claim}{key}", "displayName": "Chemistry"}
        (found,) = grants([{"id": "1", "grantedToV2": {"siteUser": member}}], REALM)
        assert found.grantee == (group_identity(REALM, key), "group", "Chemistry", "", "")
    owners = {"loginName": f"c:0o.c|federateddirectoryclaimprovider|{key}_o", "displayName": "Chemistry Owners"}
    (found,) = grants([{"id": "1", "grantedToV2": {"siteUser": owners}}], REALM)
    assert found.grantee.kind == "unknown"  # not all of the group


@pytest.mark.parametrize("body", [None, 3, "x", {}, {"roles": "read"}, {"link": None}, {"grantedToV2": []}, {"id": 7}])
def test_nothing_is_granted_by_what_tells_nothing(body: object) -> None:
    assert grants([body], REALM) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("id", "roles", "link", "scope", "type", "user", "group", "siteUser", "loginName", "email"),
                    *("grantedToV2", "grantedToIdentitiesV2", "invitation", "expirationDateTime", "displayName"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(anything, max_size=4))
def test_no_body_is_too_odd(listed: list[Any]) -> None:
    for grant in grants(listed, REALM):
        assert len(grant.grantee.grantee_id) == 32
        assert len(grant.level) <= 32
