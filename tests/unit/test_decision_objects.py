"""What was decided of keeping, as the bytes of an object: what it says is what was decided, or it is refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from data_platform.errors import BlobDamaged
from populate.retention.decisions import DECIDED, HOLD, RELEASE, RULE, RULE_END, Decision, decoded
from populate.retention.tables import LegalHold, LegalHoldEnded, RetentionRule, RetentionRuleEnded
from populate.store.base import checked_object_name, decision_of

AT = datetime(2026, 6, 1, 12, 30, 0, 42)
TABLES = {HOLD: LegalHold, RELEASE: LegalHoldEnded, RULE: RetentionRule, RULE_END: RetentionRuleEnded}


def hold(**changes: Any) -> Decision:
    kind = DECIDED[HOLD]
    row = {"hold_since": AT, "hold_by": "acme/amy", "hold_reason": "case 17"} | dict.fromkeys(kind.texts, "") | changes
    return Decision.of_row(HOLD, 3, row)


def rule(keeps: str, amount: int) -> Decision:
    row = {"rule_since": AT, "rule_by": "acme/amy", "rule_keeps": keeps, "rule_amount": amount}
    return Decision.of_row(RULE, 1, row | dict.fromkeys(DECIDED[RULE].texts, ""))


def release(of: str) -> Decision:
    return Decision.of_row(RELEASE, 3, {"hold_ended_at": AT, "hold_ended_by": "acme/bob"}, of)


@pytest.mark.parametrize(
    "decision",
    [
        hold(hold_below='/shares/Zoë\'s "plates"\n', hold_owner="1" * 32),
        hold(hold_since=datetime(2026, 6, 1)),
        rule("everything", 0),
        rule("days", 730),
        release(hold().sha256),
    ],
)
def test_what_is_read_is_what_was_decided(decision: Decision) -> None:
    assert decoded(decision.name, decision.content) == decision
    assert checked_object_name(decision.name) == decision.name
    assert decision_of(decision.name) == decision.sha256


def test_the_number_is_no_part_of_what_it_is_known_by_and_what_is_empty_is_not_told() -> None:
    other = replace(hold(), number=8)
    assert other.sha256 == hold().sha256
    assert decoded(other.name, other.content).number == 8
    assert json.loads(hold().content).keys() == {"decision", "hold_by", "hold_reason", "hold_since"}


@pytest.mark.parametrize("kind", DECIDED)
def test_it_holds_what_the_rows_hold(kind: str) -> None:
    definition = str(TABLES[kind].definition).split("---")[1]
    told = DECIDED[kind]
    columns = re.findall(r"^ *(\w+)(?:='')? : (\w+)(?:\((\d+)\))?", definition, re.MULTILINE)
    assert {name: int(most) for name, of, most in columns if of == "varchar"} == {**told.needed, **told.texts}
    assert {name for name, of, _ in columns if of == "int32"} == {*told.numbers}
    assert [name for name, of, _ in columns if of == "datetime"] == [told.at]


def forged(**changes: Any) -> tuple[str, bytes]:
    """Return an object whose name has the hash of its bytes."""
    told = {name: value for name, value in (json.loads(hold().content) | changes).items() if value is not None}
    content = f"{json.dumps(told, ensure_ascii=False, sort_keys=True)}\n".encode()
    return f"decisions/20260601T123000.000042Z-3-{hashlib.sha256(content).hexdigest()}", content


def test_a_forger_of_the_tests_writes_as_we_do() -> None:
    assert forged() == (hold().name, hold().content)


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "pardon"},
        {"decision": ["hold"]},
        {"decision": None},
        {"hold_reason": None},
        {"hold_reason": 17},
        {"hold_reason": "x" * 513},
        {"hold_by": "a\0"},
        {"hold_tag": ""},  # told, though it is empty
        {"hold_since": "2026-06-01T12:30:00.000042+00:00"},
        {"hold_since": "2026-06-02T12:30:00.000042"},  # not that of the name
        {"hold_since": None},
        {"of": "0" * 64},
        {"of": ["0"]},
        {"of_a_newer_release": "x"},
        {"hold_number": 3},
    ],
)
def test_what_nobody_decided_so_is_refused(changes: dict[str, Any]) -> None:
    name, content = forged(**changes)
    with pytest.raises(BlobDamaged, match=re.escape(name)):
        decoded(name, content)


@pytest.mark.parametrize(
    "decision",
    [rule("days", 0), rule("days", 100_001), rule("everything", 1), rule("nothing", 1), release(""), release("x" * 65)],
)
def test_what_cannot_be_decided_is_refused(decision: Decision) -> None:
    with pytest.raises(BlobDamaged, match="no decision"):
        decoded(decision.name, decision.content)


@pytest.mark.parametrize("content", [b"", b"null\n", b"[]\n", b"\xff", b"[" * 100_000, b'{"decision": "hold"}\n'])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BlobDamaged, match="hash"):
        decoded(hold().name, content)
    own = f"decisions/20260601T123000.000042Z-3-{hashlib.sha256(content).hexdigest()}"
    with pytest.raises(BlobDamaged, match="no decision"):
        decoded(own, content)


@pytest.mark.parametrize("number", [1, 999_999_999, 1_000_000_000, 2**31 - 1])
def test_each_number_that_a_column_holds_is_in_names(number: int) -> None:
    numbered = replace(hold(), number=number)
    assert decoded(numbered.name, numbered.content).number == number
    assert decision_of(numbered.name) == numbered.sha256


@pytest.mark.parametrize("number", [0, 2**31, 9_999_999_999, 10**12])
def test_no_other_number_is(number: int) -> None:
    numbered = replace(hold(), number=number)
    assert decision_of(numbered.name) is None
    with pytest.raises(BlobDamaged, match="no name of a decision"):
        decoded(numbered.name, numbered.content)


def test_it_says_what_was_decided_when_and_by_whom() -> None:
    assert str(hold(hold_below="/shares/x")) == (
        "hold 3 of 2026-06-01 12:30 UTC by acme/amy: reason case 17, below /shares/x"
    )
    assert str(rule("days", 730)) == "rule 1 of 2026-06-01 12:30 UTC by acme/amy: keeps days, amount 730"
    assert str(release("0" * 64)) == "release 3 of 2026-06-01 12:30 UTC by acme/bob"


@pytest.mark.parametrize("wrong", ["hold", "decisions/x", f"decisions/{AT:%Y}-3-{'0' * 64}", hold().name + "x"])
def test_other_names_are_none_of_decisions(wrong: str) -> None:
    assert decision_of(wrong) is None
    with pytest.raises(BlobDamaged):
        decoded(wrong, hold().content)


def test_times_of_another_zone_are_refused() -> None:
    other = hold(hold_since=AT.replace(tzinfo=UTC))
    with pytest.raises(BlobDamaged):
        decoded(other.name, other.content)
