"""Items as the vendor prints them, to what is noted of them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from populate.sharing.items import FILE, FOLDER, GONE, PACKAGE, old_versions, seen
from populate.sharing.parsing import guid, moment
from schemas.identity import file_id

SAMPLES = Path(__file__).parents[1] / "data" / "microsoft365" / "samples" / "graph"
SYSTEM, DRIVE = "microsoft365/contoso.sharepoint.com", "b!d"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def test_the_root_is_its_own_parent() -> None:
    root = seen(sample("driveitem_root_folder.json"), SYSTEM, DRIVE)
    assert root is not None
    assert root.is_root
    assert root.kind == FOLDER
    assert root.parent_key == root.key == file_id(SYSTEM, f"{DRIVE}/01NKDM7HMOJTVYMDOSXFDK2QJDXCDI3WUK")
    assert root.log_item == "86eb4c8ed20d46b9ad4123b8868dda8a"


def test_a_folder_lies_in_another() -> None:
    folder = seen(sample("driveitem_created_empty_folder_size0.json"), SYSTEM, DRIVE)
    assert folder is not None
    assert folder.parent_key == file_id(SYSTEM, f"{DRIVE}/E67A8F34-B0AA-46E1-8FF7-0750A29553DF")
    assert (folder.kind, folder.size, folder.owner) == (FOLDER, -1, "309ec495-3e92-431d-9124-f0299633171d")


@pytest.mark.parametrize("name", ["sharedwithme.json", "search_remoteitem_nextlink.json"])
def test_what_lies_elsewhere_is_not_ours(name: str) -> None:
    assert seen(sample(name)["value"][0], SYSTEM, DRIVE) is None


def test_a_file_of_few_words_is_a_file() -> None:
    file = seen(sample("remoteitem_children.json")["value"][0], SYSTEM, DRIVE)
    assert file is not None
    assert (file.kind, file.name, file.size, file.token) == (FILE, "Team Roster.xlsx", 90122, "")


def test_what_was_deleted_has_no_name() -> None:
    gone = seen({"id": "x", "deleted": {"state": "deleted"}, "file": {}}, SYSTEM, DRIVE)
    assert gone is not None
    assert gone.kind == GONE


def test_a_notebook_is_neither_file_nor_folder() -> None:
    book = seen({"id": "x", "name": "n", "package": {"type": "oneNote"}}, SYSTEM, DRIVE)
    assert book is not None
    assert book.kind == PACKAGE


def test_versions_without_time_are_left_out() -> None:
    listed = {
        "value": [
            {
                "id": "2.0",
                "lastModifiedDateTime": "2026-05-04T08:00:00.1234567Z",
                "size": 3,
                "lastModifiedBy": {"user": {"id": "AB", "displayName": "Amy"}},
            },
            {"id": "1.0"},
            {"lastModifiedDateTime": "2026-05-04T08:00:00Z"},
            7,
        ]
    }
    (version,) = old_versions(listed)
    assert version.modified_at == datetime(2026, 5, 4, 8, 0, 0, 123456)
    assert (version.label, version.author, version.size) == ("2.0", "ab", 3)
    assert old_versions({"value": None}) == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2015-06-29T20:03:19", datetime(2015, 6, 29, 20, 3, 19)),
        ("2026-05-04T10:00:00+02:00", datetime(2026, 5, 4, 8)),
        ("2026-05-04T08:00:00.5Z", datetime(2026, 5, 4, 8, 0, 0, 500000)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1)),
        ("0001-01-01T00:00:00+09:00", None),
        ("tomorrow", None),
        ("2026-13-01T00:00:00Z", None),
    ],
)
def test_times(written: str, read: datetime | None) -> None:
    assert moment(written) == read


def test_unique_ids_are_found_in_tags() -> None:
    assert guid('"{86EB4C8E-D20D-46B9-AD41-23B8868DDA8A},1"') == "86eb4c8ed20d46b9ad4123b8868dda8a"
    assert guid("aYzk2RUI0QzhF") == ""
