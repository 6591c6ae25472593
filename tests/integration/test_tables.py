"""The tables of people, catalogue and sharing, on a real database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from schemas import catalogue, people, sharing
from schemas.binding import CORE, Binding, bind, unbind
from schemas.declared import attributes, tables
from schemas.engine import dj

DAY = dt.date(2024, 2, 29)
NOW = dt.datetime(2024, 2, 29, 23, 59, 59, 123456)

NAMES = {
    "people": {"PersonKind", "Department", "Person", "Account", "AccountName", "Membership", "Departure"},
    "catalogue": {
        *("SourceSystem", "File", "FileName", "FileOwner", "FileGone", "Blob", "Version"),
        *("FileSet", "FileSetMember"),
    },
    "sharing": {
        *("AccessBatch", "AccessRun", "Access", "Execution", "Permission", "PermissionEnded"),
        *("ShareEvent", "SourceLog", "SourceRead", "Channel", "ShareEdge"),
    },
}
ALL = [table for _, schema in CORE for table in tables(schema)]


def _hex(number: int, digits: int = 32) -> str:
    return f"{number:0{digits}x}"


def _column(table: Any, name: str) -> str:
    return str(table.heading[name].type)


@pytest.fixture
def shared(binding: Binding) -> None:
    """A file of one person that another read, with all that hangs on it."""
    people.Person.insert({"person_id": _hex(n), "full_name": f"P{n}", "person_kind": "person"} for n in (1, 2))
    people.Account.insert({"account_id": _hex(n), "realm": "r", "login": f"p{n}", "person_id": _hex(n)} for n in (1, 2))
    catalogue.SourceSystem.insert1({"source_system": "nfs:filer", "source_kind": "file"})
    catalogue.File.insert1({"file_id": _hex(1), "source_system": "nfs:filer", "item_id": "C:\\data\\x"})
    catalogue.Blob.insert1({"sha256": _hex(1, 64), "blob_size": 2**40})
    catalogue.Version.insert1({"file_id": _hex(1), "version_id": _hex(1), "sha256": _hex(1, 64), "revision": "etag"})
    sharing.ShareEdge.insert1(EDGE)


EDGE = {"producer_id": _hex(1), "consumer_id": _hex(2), "file_id": _hex(1), "shared_on": DAY, "channel": "read"}


def test_the_design_names_the_tables(binding: Binding) -> None:
    assert {name: {table.__name__ for table in tables(schema)} for name, schema in CORE} == NAMES


def test_lookups_are_filled(binding: Binding) -> None:
    assert set(people.PersonKind.to_arrays("person_kind")) == {"unknown", "person", "guest", "service"}


def test_who_binds_completes_a_lookup_that_an_older_release_has_filled(binding: Binding) -> None:
    (people.PersonKind() & "person_kind = 'guest'").delete_quick()
    unbind()
    bind()
    assert set(people.PersonKind.to_arrays("person_kind")) == {"unknown", "person", "guest", "service"}
    assert people.Person().is_declared
    assert "is_declared" not in vars(people.Person)
    assert set(sharing.Channel.to_arrays("channel")) == {"read", "grant", "event"}


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.__name__)
def test_every_table_says_what_a_row_is(table: Any) -> None:
    first = table.definition.strip().splitlines()[0]
    assert first.startswith("# ")
    assert '"' not in first


def test_the_database_has_the_attributes_of_the_definitions(binding: Binding) -> None:
    for table in ALL:
        declared = attributes(table.definition)
        assert declared or "->" in table.definition
        references = set(table.heading.names) - set(declared)
        assert set(declared) <= set(table.heading.names)
        assert ("->" in table.definition) or not references


def test_keys_and_hashes_have_the_portable_types(binding: Binding) -> None:
    for table in ALL:
        for name, attribute in table.heading.attributes.items():
            assert not attribute.uuid
            assert not attribute.is_blob
            assert not attribute.type.startswith("enum")
            if name.endswith("_id") and attribute.in_key:
                assert attribute.type == "character(32)" or attribute.type == "char(32)", f"{table.__name__}.{name}"
    assert _column(catalogue.Blob, "sha256") == "char(64)"


def test_an_index_fits_into_mysql(binding: Binding) -> None:
    widths: dict[str, int] = {}
    for table in ALL:
        key = [table.heading[name].type for name in table.primary_key]
        widths[table.__name__] = sum(int(kind.split("(")[1].rstrip(")")) for kind in key if "char" in kind)
    assert max(widths.values()) <= 768


def test_a_row_fits_into_mysql(binding: Binding) -> None:
    for table in ALL:
        kinds = [attribute.type for attribute in table.heading.attributes.values()]
        characters = sum(int(kind.split("(")[1].rstrip(")")) + 1 for kind in kinds if "char" in kind)
        assert 4 * characters + 8 * len(kinds) < 65_535, table.__name__


def test_the_same_edge_twice_is_one_edge(shared: None) -> None:
    sharing.ShareEdge.insert([EDGE, EDGE], skip_duplicates=True)
    assert len(sharing.ShareEdge()) == 1
    with pytest.raises(dj.errors.DuplicateError):
        sharing.ShareEdge.insert1(EDGE)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (sharing.ShareEdge, EDGE | {"consumer_id": _hex(3)}),
        (sharing.ShareEdge, EDGE | {"channel": "rumour"}),
        (people.Account, {"account_id": _hex(3), "realm": "r", "login": "x", "person_id": _hex(3)}),
        (people.Membership, {"person_id": _hex(1), "member_since": DAY, "department": "nowhere"}),
        (catalogue.FileOwner, {"file_id": _hex(1), "owner_since": DAY, "account_id": _hex(9)}),
        (catalogue.Version, {"file_id": _hex(1), "version_id": _hex(2), "sha256": _hex(2, 64), "revision": ""}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rows_refer_to_rows_that_are_there(shared: None, table: Any, row: dict[str, Any]) -> None:
    with pytest.raises(dj.errors.IntegrityError):
        table.insert1(row)


def test_a_manager_is_optional_and_a_person(shared: None) -> None:
    people.Department.insert1({"department": "Biology"})
    people.Membership.insert1({"person_id": _hex(1), "member_since": DAY, "department": "Biology"})
    people.Membership.insert1(
        {"person_id": _hex(2), "member_since": DAY, "department": "Biology", "manager_id": _hex(1)}
    )
    assert {row["person_id"]: row["manager_id"] for row in people.Membership.to_dicts()} == {
        _hex(1): None,
        _hex(2): _hex(1),
    }


def test_the_inbox_takes_facts_about_what_the_catalogue_does_not_know(binding: Binding) -> None:
    sharing.AccessBatch.insert1({"batch_id": _hex(1), "access_count": 1, "delivered_at": NOW, "delivered_from": "host"})
    facts = {
        "event_id": _hex(1),
        "batch_id": _hex(1),
        "execution_id": _hex(7),
        "accessed_at": NOW,
        "sequence": 2**62,
        "outcome": "SourceNotFound",
        "account_realm": "r",
        "account_login": "x",
        "account_id": _hex(8),
        "known_by": "machine",
        "url": "file:///a",
    }
    sharing.Access.insert1(facts)
    row = sharing.Access.fetch1()
    assert {name: row[name] for name in facts} == facts
    assert (row["access_size"], row["from_cache"], row["file_id"], row["sha256"]) == (-1, False, "", "")


def test_the_longest_facts_fit(binding: Binding) -> None:
    sharing.AccessBatch.insert1(
        {"batch_id": _hex(1), "access_count": 1, "delivered_at": NOW, "delivered_from": "h" * 255}
    )
    row: dict[str, Any] = {}
    for name, attribute in sharing.Access.heading.attributes.items():
        kind = attribute.type
        if "char" in kind:
            row[name] = "😀" * int(kind.split("(")[1].rstrip(")"))
    row |= {"batch_id": _hex(1), "event_id": _hex(1), "accessed_at": NOW, "sequence": 1}
    sharing.Access.insert1(row)
    stored = sharing.Access.fetch1()
    assert {name: stored[name] for name in row} == row


def test_times_come_back_to_the_microsecond_and_without_a_zone(binding: Binding) -> None:
    sharing.AccessBatch.insert1({"batch_id": _hex(1), "access_count": 1, "delivered_at": NOW, "delivered_from": "host"})
    assert sharing.AccessBatch.fetch1("delivered_at") == NOW


def test_tables_join_by_what_they_refer_to(shared: None) -> None:
    read = sharing.ShareEdge.proj() * catalogue.File * people.Account.proj(consumer_id="account_id", reader="login")
    assert [(row["reader"], row["item_id"]) for row in read.to_dicts()] == [("p2", "C:\\data\\x")]
