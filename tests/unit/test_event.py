"""The record of an access: who, storable texts, identities over the raw text, a clock that never goes back."""

from __future__ import annotations

import inspect
import json
import os
import pwd
import re
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_platform.errors import SourceNotFound
from data_platform.settings import load
from readers import event
from readers.event import Consumer, access_payload, access_record, consumer, machine_login, new_event_id
from readers.source import Item, Login
from schemas.identity import account_id, file_id, version_id
from schemas.sharing import Access

AMY = Consumer(Login("local", "amy"), "machine")
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def item(item_id: str = "/data/plates.csv", name: str = "plates.csv", owner: Login | None = None) -> Item:
    return Item("file/labhost", item_id, name, item_id, f"file://{item_id}", owner=owner)


def columns() -> dict[str, int | None]:
    """Return the columns of the table, with the length of those that have one."""
    lines = re.findall(r"^ *(\w+)(?:=\S+)? : (\w+)(?:\((\d+)\))?", str(Access.definition), re.M)
    return {name: int(length) if kind in ("char", "varchar") else None for name, kind, length in lines}


def test_the_source_account_comes_before_the_setting_and_that_before_the_login_of_the_machine(tmp_path: Path) -> None:
    signed_in = Login("acme.example", "amy@acme.example")
    service = load(home=tmp_path, account="svc-screening", realm="acme.example", on_behalf_of="amy")
    plain = load(home=tmp_path)
    assert consumer(service, signed_in) == Consumer(signed_in, "source", "amy")
    assert consumer(service, None) == Consumer(Login("acme.example", "svc-screening"), "setting", "amy")
    assert consumer(plain, None) == Consumer(Login("local", machine_login()), "machine", "")


def test_the_login_of_the_machine_is_not_what_the_environment_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert machine_login() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1_999_999_999)
    assert machine_login() == "uid-1999999999"


def test_every_fact_has_its_column() -> None:
    record = access_record(
        Consumer(Login("acme", "svc", "Service"), "setting", "amy"),
        url="/data/plates.csv",
        function="read",
        item=item(owner=Login("local", "brendan", "Brendan B.")),
        source_kind="file",
        revision="r1",
        sha256=SHA256,
        size=4,
        from_cache=True,
        source_hash="crc32Hash:00000000",
        error=SourceNotFound("gone"),
        part_of=("f" * 32, "e" * 32, "plates.csv"),
    )
    derived = {"execution_id", "account_id", "file_id", "version_id"}
    assert record.keys() == columns().keys() - derived
    assert record["outcome"] == "SourceNotFound"
    assert record["message"] == "gone"
    assert (record["owner_login"], record["on_behalf_of"]) == ("brendan", "amy")
    assert (record["owner_name"], record["account_name"]) == ("Brendan B.", "Service")
    assert (record["set_file_id"], record["set_version_id"], record["set_path"]) == ("f" * 32, "e" * 32, "plates.csv")
    assert (record["access_size"], record["from_cache"], record["sha256"]) == (4, True, SHA256)
    assert json.loads(json.dumps(record)) == record


def test_what_is_empty_is_left_out() -> None:
    record = access_record(AMY, url="/data/x", function="")
    assert record.keys() == {
        *("event_id", "accessed_at", "sequence", "outcome", "known_by", "url", "account_realm", "account_login"),
    }
    assert record["outcome"] == "ok"
    assert access_record(AMY, url="", function="", item=item(), sha256=SHA256, size=0)["access_size"] == 0


def test_an_ordinary_read_takes_few_bytes() -> None:
    record = access_record(
        AMY,
        url="/data/plates.csv",
        function="read",
        item=item(),
        source_kind="file",
        revision="1",
        sha256=SHA256,
        size=9,
    )
    assert len(json.dumps(record)) < 600


def test_secrets_are_taken_out() -> None:
    error = ValueError("GET https://amy:hunter2@x.org/f?sig=abc failed with password=hunter2")
    record = access_record(AMY, url="https://amy:hunter2@x.org/f?a=1&sig=abc", function="f", error=error)
    assert record["url"] == "https://x.org/f?a=1"
    assert record["message"] == "GET https://x.org/f failed with password=***"


def test_an_error_that_cannot_tell_its_text_is_noted_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    record = access_record(AMY, url="x", function="f", error=Mute())
    assert record["outcome"] == "Mute"
    assert "message" not in record


ODD = ["a\x00b", os.fsdecode(b"/data/caf\xe9.csv"), "broken \ud800 JSON", "\udcff\ud800"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_text_is_made_storable_and_keeps_its_identity(odd: str) -> None:
    record = access_record(
        Consumer(Login(odd, odd), "source", odd),
        url=odd,
        function=odd,
        item=Item("x" + odd, odd, odd, odd, odd, owner=Login(odd, odd)),
        revision=odd,
        sha256=SHA256,
        error=ValueError(odd),
        part_of=("f" * 32, "e" * 32, odd),
    )
    for value in record.values():
        text = str(value)
        assert "\x00" not in text
        text.encode("utf-8")  # raises for a lone surrogate
    assert record["file_id"] == file_id("x" + odd, odd)
    assert record["version_id"] == version_id(odd, SHA256)
    assert record["account_id"] == account_id(odd, odd)


def test_two_odd_names_that_look_alike_stay_apart() -> None:
    raw = os.fsdecode(b"/data/caf\xe9.csv")
    odd = access_record(AMY, url=raw, function="", item=item(raw))
    spelt = access_record(AMY, url=raw, function="", item=item("/data/caf\\xe9.csv"))
    assert odd["item_id"] == spelt["item_id"]
    assert odd["file_id"] != file_id("file/labhost", str(spelt["item_id"]))
    assert "file_id" not in spelt


@pytest.mark.parametrize(
    "text", ["Müller & Søn", "数据/表.csv", "👩‍🔬 plate", "tab\tand\nline", "no\u00a0break", "\u202eright to left"]
)
def test_unusual_but_storable_text_stays(text: str) -> None:
    record = access_record(AMY, url=text, function=text, item=item(text, text), revision=text, sha256=SHA256)
    assert {record[name] for name in ("url", "function_name", "item_id", "file_name", "revision")} == {text}
    assert "file_id" not in record
    assert "version_id" not in record


def test_long_text_is_cut_to_its_column_and_keeps_its_identity() -> None:
    long = "ä" * 10_000
    record = access_record(
        Consumer(Login(long, long), "source", long),
        url="https://x.org/" + long,
        function=long,
        item=Item(long, long, long, long, long, owner=Login(long, long)),
        source_kind=long,
        revision=long,
        sha256=SHA256,
        error=type(long, (Exception,), {})(long),
        part_of=("f" * 32, "e" * 32, long),
    )
    for column, length in columns().items():
        assert length is None or len(str(record.get(column, ""))) <= length, column
    assert record["file_id"] == file_id(long, long)
    assert record["version_id"] == version_id(long, SHA256)
    assert record["account_id"] == account_id(long, long)


def test_all_parameters_are_told_by_name() -> None:
    """So that no two of the many texts can be mixed up."""
    kinds = [parameter.kind for parameter in inspect.signature(access_record).parameters.values()]
    assert set(kinds[1:]) == {inspect.Parameter.KEYWORD_ONLY}


def test_an_event_id_begins_with_its_time() -> None:
    record = access_record(AMY, url="", function="")
    accessed_at = datetime.fromisoformat(str(record["accessed_at"]))
    milliseconds = (accessed_at - datetime(1970, 1, 1)).total_seconds() * 1000
    assert int(str(record["event_id"])[:12], 16) == int(milliseconds + 1e-6)
    assert accessed_at.tzinfo is None
    assert re.fullmatch(r"[0-9a-f]{32}", new_event_id())


def test_time_and_sequence_rise_though_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = time.time_ns() + 5_000_000_000
    readings = iter([ahead, ahead, ahead - 3_600_000_000_000, 0, ahead + 7_000])
    monkeypatch.setattr(event, "_clock", event.Clock())
    monkeypatch.setattr(event, "time", SimpleNamespace(time_ns=lambda: next(readings)))
    records = [access_record(AMY, url="", function="") for _ in range(5)]
    times = [str(record["accessed_at"]) for record in records]
    assert times == sorted(set(times))
    numbers = [record["sequence"] for record in records]
    assert numbers == list(range(int(str(numbers[0])), int(str(numbers[0])) + 5))
    first, last = (datetime.fromisoformat(times[n]) for n in (0, -1))
    assert (last - first).microseconds == 7, "once the clock has caught up it is followed again"


def test_threads_never_share_a_time_a_number_or_an_id() -> None:
    start = threading.Barrier(8)

    def many() -> list[dict[str, object]]:
        start.wait(60)
        return [access_record(AMY, url="", function="") for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        parts = [future.result() for future in [pool.submit(many) for _ in range(8)]]
    records = [record for part in parts for record in part]
    for column in ("accessed_at", "sequence", "event_id"):
        assert len({str(record[column]) for record in records}) == len(records)
        for part in parts:
            values = [record[column] for record in part]
            assert column == "event_id" or values == sorted(values, key=str if column == "accessed_at" else int)  # type: ignore[arg-type]


def test_a_fork_in_the_middle_of_a_reading_does_not_stop_the_child() -> None:
    with event._clock.lock, warnings.catch_warnings():  # the lock as another thread of the parent would hold it
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
        if child == 0:
            signal.alarm(120)  # ends it if it does not end by itself
            new_event_id()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_payload_is_the_json_of_the_record_each_time_anew() -> None:
    found = item("/data/caf\\xe9\n.csv")
    handed = ("file", "r1", SHA256, 7, True, "crc:1")
    facts = {"source_kind": "file", "revision": "r1", "sha256": SHA256, "size": 7, "from_cache": True}
    record = access_record(AMY, url="/data/x", function="f", item=found, source_hash="crc:1", **facts)  # type: ignore[arg-type]
    payloads = [json.loads(access_payload(AMY, "/data/x", "f", found, handed)) for _ in range(2)]
    of_its_own = ("event_id", "accessed_at", "sequence")
    for payload in payloads:
        assert {**record, **{key: payload[key] for key in of_its_own}} == payload
    assert all(len({told[key] for told in (record, *payloads)}) == 3 for key in of_its_own)
    assert len(payloads[0]["accessed_at"]) == len(str(record["accessed_at"])) == 26


def test_no_two_events_share_their_digits_across_refills_threads_and_forks() -> None:
    seen = [new_event_id()[12:] for _ in range(3 * event.Digits.AT_ONCE)]
    with ThreadPoolExecutor(4) as pool:
        seen += pool.map(lambda _: new_event_id()[12:], range(3 * event.Digits.AT_ONCE))
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, "".join(new_event_id()[12:] for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reading, 4096).decode()
    seen += [text[start : start + 20] for start in range(0, len(text), 20)]
    seen += [new_event_id()[12:] for _ in range(200)]
    assert len(set(seen)) == len(seen) == 6 * event.Digits.AT_ONCE + 300
