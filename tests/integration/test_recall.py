"""Recalls and the freshness guard: from a read to a warning, and whom a recall reaches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from servers.mail import MailServer, mail_server
from small_company import MONDAY, NOW, REALM, asking, deliver, dismiss, hire, path_id, person

from data_platform import read
from data_platform.cli import main
from data_platform.errors import RecallRefused, StaleData, StaleDataWarning
from data_platform.settings import Settings, load, settings
from populate.ingest import Ingest
from populate.recall.looking import recalls_of
from populate.recall.making import acknowledge, end, recall
from populate.recall.telling import Told, raise_notices, tell_due
from populate.work.scheduler import Keeper
from readers import freshness
from readers.backlog import Noted
from readers.flush import flush as deliver_all
from readers.flush import look
from readers.freshness import Met, file_of
from readers.freshness import load as load_told
from readers.watching import look as look_at
from readers.watching import watch
from schemas.binding import Binding
from schemas.conversation import MailAddress
from schemas.identity import identity, version_id
from schemas.output import Output
from schemas.people import Membership
from schemas.sharing import Access

PLATE, COPY, TABLE = "/amy/plate.csv", "/colin/plate.csv", "/bob/table.csv"


def content(data: str) -> str:
    return (identity("bytes", data) * 2)[:64]


def version(data: str) -> str:
    return version_id("1", content(data))


def wrote(login: str, run: str, path: str, data: str, day: int) -> None:
    """Let a run tell of a result."""
    Output.insert1(
        {
            "event_id": identity("output", run, path),
            "batch_id": identity("batch", run),
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


def recall_plate(lab: Binding, now: datetime = NOW) -> str:
    return recall(asking(lab, "amy", now), path_id(PLATE), version("plate"), "wrong\x1b calibration", version("mended"))


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
    # A machine on which nobody has met the bytes has the mark: it warns of their first read, and tells nothing else.
    eves = {"accessed_at": "", "file_id": path_id("/eve"), "sha256": content("other"), "account_id": person("eve")}
    watch(lab.settings, [Noted("", 0, orjson.dumps(eves), b"")])
    look_at(lab.settings, lab)
    kept = file_of(lab.settings.home).read_text()
    assert not any(word in kept for word in (content("plate"), content("mended"), "calibration", "plate.csv"))
    found = freshness.look(lab.settings, [Met("file/lab", COPY, "plate.csv", content("plate"))], pinned=False)
    assert found is not None
    assert found[1].reason.startswith("its owner recalled these bytes on 2026-06-01. See")
    assert found[1].right == content("mended")
    assert freshness.look(lab.settings, [Met("file/lab", PLATE, "x", content("table"))], pinned=False) is None
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
    assert raise_notices(lab, NOW + timedelta(days=91)) == 0
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


def test_for_an_owner_who_has_left_their_manager_recalls_or_a_steward(lab: Binding) -> None:
    hire("boss", "Chemistry")
    stint = {"person_id": person("amy"), "member_since": date(2026, 1, 1), "department": "Chemistry"}
    Membership.insert1({**stint, "manager_id": person("boss")})
    deliver(lab, [("boss", PLATE, "amy", 6)], batch="boss", data="mended", alike=True)

    def attempt(login: str, *, steward: bool = False) -> str:
        return recall(asking(lab, login), path_id(PLATE), version("plate"), "wrong", steward=steward)

    refused = [("boss", False), ("bob", True)]  # as long as Amy can do it
    for login, steward in refused:
        with pytest.raises(RecallRefused, match="Only the owner"):
            attempt(login, steward=steward)
    dismiss("amy", date(2026, 5, 20))
    for login, steward in (("bob", False), ("eve", True)):
        with pytest.raises(RecallRefused, match=r"Only the owner|Nothing is known"):
            attempt(login, steward=steward)
    made = attempt("boss")
    assert raise_notices(lab, NOW) == 3
    (mine,) = recalls_of(asking(lab, "boss"))
    assert (mine.recall_id, mine.mine, mine.owner, mine.told) == (made, True, "Boss", 3)
    assert recalls_of(asking(lab, "bob"))[0].owner == "Boss"
    end(asking(lab, "boss"), made)
    assert attempt("bob", steward=True)


def test_the_owner_of_a_copy_speaks_for_it_only_and_what_is_taken_back_concerns_nobody_new(lab: Binding) -> None:
    copy = recall(asking(lab, "colin"), path_id(COPY), version("plate"), "mine is wrong")
    assert raise_notices(lab, NOW) == 0
    assert recalls_of(asking(lab, "bob")) == []
    assert end(asking(lab, "colin"), copy[:10]) == copy
    with pytest.raises(RecallRefused, match="already"):
        end(asking(lab, "colin"), copy)
    made = recall_plate(lab)
    end(asking(lab, "amy"), made)
    assert raise_notices(lab, NOW) == 0
    assert recalls_of(asking(lab, "amy"))[0].ended_at == NOW


def test_a_copy_is_told_of_by_the_name_that_its_reader_knows(lab: Binding) -> None:
    deliver(lab, [("bob", COPY, "colin", 6)], batch="bob's copy", data="plate", alike=True)
    deliver(lab, [("dora", PLATE, "amy", 7)], batch="renamed", data="mended", alike=True)
    lab.connection.query(
        f"UPDATE {Access().full_table_name} SET file_path = '/amy/of late.csv' WHERE account_login = 'dora'"
    )
    here = lab.settings
    for login, told in (("bob", PLATE), ("amy", "/amy/of late.csv"), ("eve", "")):
        access = {"accessed_at": "", "file_id": path_id(COPY), "sha256": content("plate"), "account_id": person(login)}
        watch(here, [Noted("", 0, orjson.dumps(access), b"")])
        look_at(here, lab)
        said = [one.reason.partition(" had ")[0] for one in load_told(file_of(here.home)).get(content("plate"), ())]
        assert said == ([told] if told else [])
        file_of(here.home).with_name("watched.json").unlink()


def test_each_is_sent_a_recall_once_by_mail_and_hears_only_what_they_may_know(
    lab: Binding, post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).replace(tzinfo=None)  # a scheduler follows no recalls of long ago
    made = recall_plate(lab, today)
    automatic = mailing(post)
    monkeypatch.setattr(lab, "settings", automatic)
    (chore,) = (chore for chore in Keeper(lab, snapshots=True)._chores if chore._name == "telling of recalls")
    chore.do_if_due()
    assert chore.failure is None
    assert tell_due(lab, automatic, today) == Told()
    told = dict(post.received)
    assert sorted(told) == [f"{login}@example.org" for login in ("bob", "colin", "dora")]
    texts = {to.partition("@")[0]: plain(mail) for to, mail in told.items()}
    assert all(f"data-platform acknowledge {made}" in text for text in texts.values())
    assert "Amy has recalled a version of /amy/plate.csv" in texts["bob"]
    assert content("mended") in texts["bob"]
    for login, met in (("colin", "plate.csv"), ("dora", "table.csv")):
        subject = str(told[f"{login}@example.org"]["Subject"])
        assert met in subject
        assert "Amy" not in texts[login] + subject
        assert "/amy" not in texts[login]
        assert content("mended") not in texts[login]


def plain(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def mailing(post: MailServer) -> Settings:
    mail = {"host": post.host, "port": post.port, "security": "none", "automatic": True}
    return load(mail={**mail, "sender": "catalogue@example.org", "domains": ("example.org",)})


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


class Desk:
    """Files of Amy's, and what she does with them by the functions and commands that users have."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "amy")
        monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
        monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
        monkeypatch.setenv("DATA_PLATFORM_FILE__OWNERS", json.dumps({str(folder): "amy"}))
        monkeypatch.setattr("readers.freshness.LOOK_SECONDS", 0.0)
        settings.cache_clear()

    def write(self, name: str, word: str) -> tuple[Path, str]:
        """Write and read a file; return its path and the SHA-256 of what is in it."""
        path, data = self.folder / name, f"{word}\n".encode() * 40
        path.write_bytes(data)
        assert read(path).read_bytes() == data
        return path, hashlib.sha256(data).hexdigest()

    def deliver(self) -> None:
        """Deliver what was read, and have it catalogued before it is found out what is out of date."""
        deliver_all()
        Ingest.populate()
        look(settings())

    def command(self, *arguments: str) -> str:
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output


def test_a_read_of_stale_bytes_is_told_by_a_file_and_no_database(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    amy = Desk(tmp_path, monkeypatch)
    plate, first = amy.write("plate.csv", "first")
    copy, _ = amy.write("copy.csv", "first")
    _, second = amy.write("plate.csv", "second")
    amy.deliver()
    assert read(plate).read_bytes()[:6] == b"second"  # nothing is wrong with it, and warnings are errors here
    with pytest.warns(
        StaleDataWarning, match=r"^copy.csv: \S*plate.csv had the same bytes and has others now"
    ) as noted:
        read(copy)
    assert noted[0].filename == __file__

    with pytest.warns(StaleDataWarning, match="^plate.csv: a newer version than this one is known"):
        assert read(plate, version=f"sha256:{first}").read_bytes()[:5] == b"first"
    assert read(plate, version=f"sha256:{first}", on_stale="latest").read_bytes()[:6] == b"second"
    with pytest.raises(StaleData, match="a newer version"):
        read(plate, version=f"sha256:{first}", on_stale="error")

    said = amy.command("recall", str(plate), "--reason", "wrong calibration", "--right", f"sha256:{first[:12]}")
    assert said.startswith("Recalled (")
    amy.deliver()
    monkeypatch.setattr(binding.connection, "query", unwanted)
    with pytest.warns(StaleDataWarning, match="recalled these bytes on .*: wrong calibration.*sha256:" + first):
        read(plate)
    with pytest.raises(StaleData) as refused:
        read(plate, on_stale="error")
    assert (refused.value.kind, refused.value.right) == ("recalled", first)
    monkeypatch.undo()
    Desk(tmp_path, monkeypatch)
    with pytest.warns(StaleDataWarning):  # of the older version there is a newer one
        assert read(plate, on_stale="latest").read_bytes()[:5] == b"first"

    (shown,) = json.loads(amy.command("recalls", "--json"))
    assert (shown["mine"], shown["sha256"], shown["right"]) == (True, second, first)
    assert "0 of 0 people have taken note" in amy.command("recalls")
    amy.command("recall", shown["recall_id"][:12], "--end")
    amy.deliver()
    assert read(plate).read_bytes()[:6] == b"second"


def unwanted(*_: Any, **__: Any) -> None:
    raise AssertionError("a database is asked on the caller's path")
