"""The source's own log: acts of sharing once each, reads, and nothing else."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from populate.sharing.log_records import acts, event_data, event_identity, logged

SAMPLES = Path(__file__).parents[1] / "data" / "microsoft365" / "samples" / "o365-management"
ITEM = "86eb4c8e-d20d-46b9-ad41-23b8868dda8a"


def record(operation: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return a record as the log writes it: no time zone, and the correlation where it stands in sharing records."""
    return {
        "Id": f"id-{number}",
        "RecordType": 14,
        "CreationTime": f"2026-05-04T08:00:{number:02}",
        "Operation": operation,
        "UserId": "amy@contoso.com",
        "ListItemUniqueId": ITEM,
        "CorrelationId": "c1",
        **fields,
    }


SHARE = [
    record(
        "SharingSet", 1, TargetUserOrGroupName="Limited Access System Group", TargetUserOrGroupType="SharePointGroup"
    ),
    record("SharingSet", 2, TargetUserOrGroupName=f"SharingLinks.{ITEM}.Flexible.12", EventData="<x y>z</x y>"),
    record("SecureLinkCreated", 3),
    record(
        "AddedToSecureLink",
        4,
        TargetUserOrGroupName="bob@contoso.com",
        TargetUserOrGroupType="Member",
        EventData="<Permissions granted>Contribute</Permissions granted>",
    ),
    record("SharingSet", 5, TargetUserOrGroupName="System.LimitedEdit"),
    record("SharingSet", 6, TargetUserOrGroupName="Bob@contoso.com", TargetUserOrGroupType="Member"),
]


@pytest.mark.parametrize("seed", range(5))
def test_one_act_remains_of_many_records_in_any_order_and_twice(seed: int) -> None:
    records = SHARE + SHARE
    random.Random(seed).shuffle(records)
    (act,) = acts(logged(records))
    assert act.at == datetime(2026, 5, 4, 8, 0, 4)
    assert (act.operation, act.target, act.target_is_account) == ("AddedToSecureLink", "bob@contoso.com", True)
    assert act.log_item == ITEM.replace("-", "")
    assert act.detail == "Contribute"


def test_an_act_with_two_targets_is_two_acts() -> None:
    other = record("AddedToSecureLink", 7, TargetUserOrGroupName="colin@contoso.com", TargetUserOrGroupType="Member")
    assert [act.target for act in acts(logged([*SHARE, other]))] == ["bob@contoso.com", "colin@contoso.com"]


def test_the_identity_of_an_act_does_not_depend_on_which_record_came() -> None:
    alone = [acts(logged([SHARE[number]]))[0] for number in (3, 5)]
    assert len({event_identity("t", act) for act in alone}) == 1
    assert event_identity("t", alone[0]) != event_identity("other", alone[0])


def test_links_name_their_scope() -> None:
    found = acts(logged([record("AnonymousLinkCreated", 1, CorrelationId=""), record("CompanyLinkCreated", 2)]))
    assert [(act.target, act.target_is_account) for act in found] == [("anonymous", False), ("organization", False)]


def test_reads_are_reads_and_looks_at_a_list_are_none() -> None:
    found = list(
        logged(
            [
                record("FileAccessed", 1, SourceFileName="results.xlsx", ItemType="File"),
                record("FileDownloaded", 2, SourceFileName="results.xlsx"),
                record("FileAccessed", 3, SourceFileName="All.aspx"),
                record("FileModified", 4),
            ]
        )
    )
    assert [one.record_id for one in found] == ["id-1", "id-2"]
    assert all(one.is_read for one in found)
    assert acts(found) == []


def test_what_is_not_about_files_is_left_out() -> None:
    assert list(logged(json.loads((SAMPLES / "content_blob_aad.json").read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "odd", [None, [], "x", {}, {"Operation": "SharingSet"}, {"Operation": 3, "Id": "x", "CreationTime": "2026-05-04"}]
)
def test_odd_records_are_left_out(odd: object) -> None:
    assert list(logged([odd])) == []


def test_event_data_is_no_xml() -> None:
    assert event_data("<Type>Edit</Type><Permissions granted>Full control</Permissions granted><a>b</c>") == {
        "Type": "Edit",
        "Permissions granted": "Full control",
    }
