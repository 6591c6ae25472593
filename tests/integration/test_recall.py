"""Recalls and the freshness guard: from a read to a warning, and whom a recall reaches."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from servers.mail import MailServer, mail_server
from small_company import MONDAY, NOW, REALM, asking, deliver, hire, path_id, person

from data_platform.cli import main
from data_platform.errors import RecallRefused
from data_platform.settings import Settings, load
from populate.ingest import Ingest
from populate.recall.looking import recalls_of
from populate.recall.making import acknowledge, end, recall
from populate.recall.telling import raise_notices, tell_due
from populate.work.scheduler import Keeper
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.conversation import MailAddress
from schemas.identity import identity, version_id
from schemas.output import Output
from schemas.restrict import where

PLATE, COPY, TABLE = "/amy/plate.csv", "/colin/plate.csv", "/bob/table.csv"


def content(data: str) -> str:
    return (identity("bytes", data) * 2)[:64]


def version(data: str) -> str:
    return version_id("1", content(data))


def wrote(login: str, run: str, path: str, data: str, day: int) -> None:
    """Let a run tell of a result."""
    batch = (Ingest & f"batch_id = '{identity('batch', run)}'").fetch1("batch_id")
    Output.insert1(
        {
            "event_id": identity("output", run, path),
            "batch_id": batch,
            "execution_id": identity("run", run),
            "written_at": MONDAY + timedelta(days=day, hours=1),
            "account_realm": REALM,
            "account_login": login,
            "account_id": person(login),
            "file_id": path_id(path),
            "file_name": path.rpartition("/")[2],
            "file_path": path,
            "sha256": content(data),
        }
    )


@pytest.fixture
def lab(binding: Binding) -> Binding:
    """Bob made a table of Amy's plate, which Dora read; Colin has a copy of the plate; Eve has to do with nothing."""
    for login in ("amy", "bob", "colin", "dora", "eve"):
        hire(login, "Chemistry")
        MailAddress.insert1(
            {"person_id": person(login), "address_since": MONDAY.date(), "mail_address": f"{login}@example.org"}
        )
    hire("robot", "Chemistry", kind="service")
    deliver(binding, [("bob", PLATE, "amy", 0)], batch="bob", data="plate", alike=True)
    wrote("bob", "bob", TABLE, "table", 0)
    deliver(binding, [("robot", PLATE, "amy", 1)], batch="robot", data="plate", alike=True)
    deliver(binding, [("dora", TABLE, "bob", 2)], batch="dora", data="table", alike=True)
    deliver(binding, [("colin", COPY, "colin", 3)], batch="colin", data="plate", alike=True)
    deliver(binding, [("eve", "/eve/other.csv", "eve", 4)], batch="eve", data="other", alike=True)
    deliver(binding, [("bob", PLATE, "amy", 5)], batch="again", data="mended", alike=True)
    return binding


def recall_plate(lab: Binding) -> str:
    return recall(asking(lab, "amy"), path_id(PLATE), version("plate"), "wrong\x1b calibration", version("mended"))


def test_a_recall_reaches_whoever_read_the_bytes_or_what_was_made_of_them(lab: Binding) -> None:
    made = recall_plate(lab)
    assert raise_notices(lab, NOW) == 3  # Bob, Colin and Dora; a service reads no notice, and Amy knows
    assert raise_notices(lab, NOW) == 0
    told = {login: recalls_of(asking(lab, login)) for login in ("amy", "bob", "colin", "dora", "eve")}
    assert told["eve"] == []
    (mine,), (bob,), (colin,), (dora,) = (told[login] for login in ("amy", "bob", "colin", "dora"))
    assert (mine.recall_id, mine.mine, mine.told, mine.acknowledged, mine.waiting) == (made, True, 3, 0, ("Bob",))
    assert (bob.concern, bob.met, bob.file, bob.owner) == ("read", PLATE, PLATE, "Amy")
    assert (bob.sha256, bob.right) == (content("plate"), content("mended"))
    assert bob.reason == "wrong\N{REPLACEMENT CHARACTER} calibration"
    # Who may not know Amy's file hears of it by what they met, and nothing of its name, owner or versions.
    assert (colin.concern, colin.met, colin.file, colin.owner, colin.right) == ("read", COPY, "", "", "")
    assert (dora.concern, dora.met, dora.file, dora.owner, dora.sha256) == ("result", TABLE, "", "", "")
    acknowledge(asking(lab, "bob"), made[:12])
    acknowledge(asking(lab, "bob"), made)
    (mine,) = recalls_of(asking(lab, "amy"))
    assert (mine.told, mine.acknowledged, mine.waiting) == (3, 1, ())
    assert recalls_of(asking(lab, "bob"))[0].acknowledged_at == NOW


def test_who_may_not_recall_is_refused_and_what_is_not_known_does_not_exist(lab: Binding) -> None:
    plate = path_id(PLATE)
    with pytest.raises(RecallRefused, match="Only the owner"):
        recall(asking(lab, "bob"), plate, version("plate"), "mine now")
    unknown = []
    for login, file in (("eve", plate), ("eve", "0" * 32), ("amy", "0" * 32)):
        with pytest.raises(RecallRefused) as refused:
            recall(asking(lab, login), file, version("plate"), "guess")
        unknown.append(str(refused.value))
    assert len(set(unknown)) == 1
    for reason, right, why in ((" ", "", "reason"), ("x" * 1001, "", "longer"), ("x", "0" * 32, "none of this file")):
        with pytest.raises(RecallRefused, match=why):
            recall(asking(lab, "amy"), plate, version("plate"), reason, right)
    made = recall_plate(lab)
    with pytest.raises(RecallRefused, match="recalled already"):
        recall_plate(lab)
    raise_notices(lab, NOW)
    refused_as = []
    for login, each in (("eve", made), ("eve", "f" * 32)):
        for act in (acknowledge, end):
            with pytest.raises(RecallRefused, match="concerns you") as error:
                act(asking(lab, login), each)
            refused_as.append(str(error.value).replace(each, ""))
    assert len(set(refused_as)) == 1
    with pytest.raises(RecallRefused, match="Only whoever"):
        end(asking(lab, "bob"), made)


def test_the_owner_of_a_copy_speaks_for_the_copy_only(lab: Binding) -> None:
    recall(asking(lab, "colin"), path_id(COPY), version("plate"), "mine is wrong")
    assert raise_notices(lab, NOW) == 0
    assert recalls_of(asking(lab, "bob")) == []


def test_a_recall_that_is_taken_back_concerns_nobody_new(lab: Binding) -> None:
    made = recall_plate(lab)
    assert end(asking(lab, "amy"), made) == made
    with pytest.raises(RecallRefused, match="already"):
        end(asking(lab, "amy"), made)
    assert raise_notices(lab, NOW) == 0
    assert recalls_of(asking(lab, "amy"))[0].ended_at == NOW
