"""Delivering accesses: each once, whatever is sent again, and an odd one never stops the rest."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_server import OwnServer
from readers_at_work import an_access, an_outbox, delivered, note
from servers.sessions import end_session, session_of

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import settings
from readers import delivery
from readers.backlog import Backlog, Noted
from readers.delivery import deliver
from readers.outbox import pending
from readers.run import run_record
from readers.shipper import flush
from schemas.binding import CORE, Binding, bind, unbind
from schemas.engine import dj
from schemas.restrict import where
from schemas.sharing import Access, AccessBatch, AccessRun

RUN = json.dumps(run_record()).encode()


def as_noted(records: list[dict[str, object]], run: bytes = RUN) -> list[Noted]:
    return [Noted("0-1-a.segment", 64 + 8 * n, json.dumps(record).encode(), run) for n, record in enumerate(records)]


def refuse(event: Noted, reason: str) -> None:
    raise AssertionError(f"{event} was set aside because {reason}")


def ids_of(records: list[dict[str, object]]) -> list[str]:
    return sorted(str(record["event_id"]) for record in records)


def test_a_delivery_is_a_batch_with_its_runs_and_accesses(binding: Binding) -> None:
    records = [an_access(n) for n in range(5)]
    other = json.dumps({**run_record(), "execution_id": "f" * 32}).encode()
    assert deliver(binding, as_noted(records[:3]) + as_noted(records[3:], other), refuse) == 5
    assert sorted(delivered()) == ids_of(records)
    assert AccessBatch.fetch1("access_count") == 5
    assert len(AccessRun()) == 2
    row = where(Access, event_id=str(records[0]["event_id"])).fetch1()
    assert row["url"] == "file:///data/0"
    assert row["execution_id"] == run_record()["execution_id"]
    assert row["accessed_at"].isoformat(timespec="microseconds") == records[0]["accessed_at"]


def test_nothing_to_deliver_is_no_batch(binding: Binding) -> None:
    assert deliver(binding, [], refuse) == 0
    assert len(AccessBatch()) == 0


def test_the_same_delivery_again_changes_nothing(binding: Binding) -> None:
    records = [an_access(n) for n in range(5)]
    assert deliver(binding, as_noted(records), refuse) == 5
    before = (AccessBatch.to_dicts(), Access.to_dicts())
    assert deliver(binding, as_noted(records), refuse) == 0
    assert (AccessBatch.to_dicts(), Access.to_dicts()) == before


def test_of_a_delivery_that_is_known_in_part_the_rest_is_delivered(binding: Binding) -> None:
    records = [an_access(n) for n in range(9)]
    assert deliver(binding, as_noted(records[2:5]), refuse) == 3
    assert deliver(binding, as_noted(records), refuse) == 6
    assert sorted(delivered()) == ids_of(records)
    assert deliver(binding, as_noted(records), refuse) == 0


def test_an_access_that_is_sent_twice_at_once_counts_once(binding: Binding) -> None:
    records = [an_access(n) for n in range(3)]
    assert deliver(binding, as_noted(records + records), refuse) == 3
    assert sorted(delivered()) == ids_of(records)


@pytest.mark.parametrize("seed", range(4))
def test_each_access_three_times_in_any_order_and_any_batches_is_there_once(binding: Binding, seed: int) -> None:
    chance = random.Random(seed)
    records = [an_access(n) for n in range(30)]
    sent = records * 3
    chance.shuffle(sent)
    total = 0
    while sent:
        size = chance.randrange(1, 12)
        total += deliver(binding, as_noted(sent[:size]), refuse)
        sent = sent[size:]
    assert total == len(records)
    assert sorted(delivered()) == ids_of(records)


def test_texts_of_any_kind_and_length_are_stored(binding: Binding) -> None:
    odd = {
        "url": "u" * 9000,
        "message": "\0 NUL",
        "item_id": "caf\udce9 \ud800 \U0001f600" + "x" * 9000,
        "source_system": "file/ä",
        "file_name": "%s %(a)s {} \\ ' \" ; --",
        "file_path": "ü" * 5000,
        "sequence": 10**40,
        "access_size": -(10**40),
    }
    record = {**an_access(), **odd}
    assert deliver(binding, as_noted([record]), refuse) == 1
    row = Access.fetch1()
    assert row["file_name"] == odd["file_name"]
    assert (len(row["url"]), len(row["item_id"]), len(row["file_path"])) == (2048, 4096, 4096)
    assert (row["message"], row["sequence"]) == ("\\x00 NUL", 2**63 - 1)


def test_an_access_that_the_database_refuses_is_set_aside_and_the_others_are_delivered(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known that it would refuse; so what makes texts fit is switched off."""
    monkeypatch.setattr(delivery, "text", lambda fact, width: str(fact or ""))
    records = [an_access(n) for n in range(8)]
    records[5]["function_name"] = "f" * 300
    records[6]["message"] = "NUL \0"
    unfit = records[5:7] if binding.backend == "postgresql" else records[5:6]  # MySQL keeps a NUL
    refused: list[tuple[str, str]] = []

    def set_aside(event: Noted, reason: str) -> None:
        refused.append((json.loads(event.payload)["event_id"], reason))

    run = as_noted(records)
    assert deliver(binding, run, set_aside) == 8 - len(unfit)
    assert sorted(id for id, _ in refused) == ids_of(unfit)
    assert all("the database refuses it" in reason for _, reason in refused)
    assert sorted(delivered()) == ids_of([record for record in records if record not in unfit])


def test_a_connection_that_breaks_in_the_middle_undoes_the_batch_and_it_can_be_sent_again(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [an_access(n) for n in range(5)]
    insert, broken = AccessRun.insert, []

    def break_first(table: AccessRun, rows: list[dict[str, object]]) -> None:
        broken.append(session_of(binding))
        end_session(settings(), broken[-1])
        insert(table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(AccessRun, "insert", break_first)
        with pytest.raises(DatabaseUnavailable):
            deliver(binding, as_noted(records), refuse)
    assert len(broken) == 1
    binding.ensure()
    assert delivered() == []
    assert deliver(binding, as_noted(records), refuse) == 5
    assert sorted(delivered()) == ids_of(records)


def test_flush_delivers_what_waits_and_leaves_no_segment(binding: Binding) -> None:
    box = an_outbox(segment_bytes=4096)
    ids = note(box, 50)
    assert flush() == 50
    assert sorted(delivered()) == sorted(ids)
    assert len(Backlog(box.folder).segments()) == 1  # the one that is open
    box.close()
    assert flush() == 0
    assert Backlog(box.folder).segments() == []
    ids += note(box, 3)
    box.close()
    assert flush() == 3
    assert sorted(delivered()) == sorted(ids)
    assert Backlog(box.folder).segments() == []
    assert (flush(), pending(box.folder)) == (0, 0)


def test_batches_have_the_size_that_is_set(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__BATCH_EVENTS", "7")
    settings.cache_clear()
    first, second = an_outbox(segment_bytes=4096), an_outbox()
    note(first, 20)
    note(second, 10)
    first.close()
    second.close()
    assert flush() == 30
    assert sorted(AccessBatch.to_arrays("access_count")) == [2, 7, 7, 7, 7]


def test_a_segment_that_comes_back_after_its_delivery_changes_nothing(binding: Binding, tmp_path: Path) -> None:
    """As from a backup of the home, or a file system that lost the deletion in a power loss."""
    box = an_outbox()
    ids = note(box, 20)
    box.close()
    (path,) = Backlog(box.folder).segments()
    shutil.copy(path, tmp_path / path.name)
    assert flush() == 20
    assert not path.exists()
    for name in (path.name, "000000000001-1-copy.segment"):
        shutil.copy(tmp_path / path.name, path.with_name(name))
        assert flush() == 0
        assert Backlog(box.folder).segments() == []
    assert sorted(delivered()) == sorted(ids)


def test_a_lost_cursor_changes_nothing(binding: Binding) -> None:
    box = an_outbox()
    ids = note(box, 20)
    assert flush() == 20
    ids += note(box, 5)
    (box.folder / "cursor.json").unlink()
    assert flush() == 5
    assert sorted(delivered()) == sorted(ids)
    box.close()


def test_what_makes_no_sense_is_kept_aside_and_never_tried_again(
    binding: Binding, caplog: pytest.LogCaptureFixture
) -> None:
    box = an_outbox()
    ids = note(box, 2)
    box.append({"event_id": "odd", "url": "https://example.org/?sig=canary"})
    ids += note(box, 2)
    assert flush() == 4
    (kept,) = (box.folder / "set-aside").iterdir()
    assert json.loads(kept.read_bytes())["event_id"] == "odd"
    assert "it makes no sense" in caplog.text
    assert "canary" not in caplog.text
    assert (flush(), pending(box.folder)) == (0, 0)
    assert sorted(delivered()) == sorted(ids)
    box.close()


@pytest.fixture
def own(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A server with the tables, and an account that may only insert into the inbox."""
    server = OwnServer(monkeypatch)
    bind(deploy=True)
    unbind()
    schemas = (f'"{server.prefix}_{name}"' for name, _ in CORE)
    inbox = (f'"{server.prefix}_sharing"."{table.table_name}"' for table in (AccessBatch, AccessRun, Access))
    server.add_role(
        "inserter",
        *(f"GRANT USAGE ON SCHEMA {schema} TO inserter" for schema in schemas),
        *(f"GRANT INSERT ON {table} TO inserter" for table in inbox),
    )
    server.add_role("stranger", *(f'GRANT USAGE ON SCHEMA "{server.prefix}_{name}" TO stranger' for name, _ in CORE))
    yield server
    unbind()
    server.remove()


def test_the_right_to_insert_is_all_that_delivery_needs(own: OwnServer) -> None:
    database = settings().database
    own.use("inserter", "inserter")
    box = an_outbox()
    ids = note(box, 10)
    assert flush() == 10
    (box.folder / "cursor.json").unlink()
    ids += note(box, 3)
    assert flush() == 3  # the ten are refused one by one, without being asked for
    for forbidden in (lambda: len(Access()), lambda: Access().delete_quick()):
        with pytest.raises(dj.errors.AccessError):
            forbidden()
    box.close()
    unbind()
    own.use(database.user, database.password.get_secret_value())
    bind()
    assert sorted(delivered()) == sorted(ids)


def test_a_want_of_rights_is_not_blamed_on_the_accesses(own: OwnServer) -> None:
    """An account that may not insert would otherwise set everything aside."""
    own.use("stranger", "stranger")
    box = an_outbox()
    note(box, 3)
    with pytest.raises(DatabaseUnavailable, match="3 accesses wait"):
        flush()
    assert not (box.folder / "set-aside").exists()
    assert pending(box.folder) == 3
    box.close()
