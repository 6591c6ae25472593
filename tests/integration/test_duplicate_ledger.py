"""The ledger of bytes saved: what counts is that a copy is seen to be gone, and small groups are hidden."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path

from conversing import PLATES, catalogue, copies, file_of, hire, link_in, login, person_id, settings_of, write_to
from deliveries import MORNING, read, read_file
from servers.mail import mail_server

from populate.conversation.answering import answer
from populate.conversation.asking import ask_due
from populate.conversation.ledger import Ledger, ledger, promises
from populate.conversation.questions import QuestionCopyGone
from populate.conversation.revisit import revisit
from schemas.binding import Binding
from schemas.catalogue import FileGone
from schemas.people import Membership

NOW = datetime(2026, 6, 1, 9)
DAY = timedelta(days=1)
SIZE = len(PLATES)
CHEMISTS = ("brendan", "amy", "carla", "dora", "emil", "finn")


def asked(binding: Binding, *, reminders: tuple[int, ...] = ()) -> dict[str, str]:
    """Ask everybody and return the tokens of their links by login."""
    with mail_server() as post:
        ask_due(binding, settings_of(post, reminder_days=reminders), now=NOW)
        return {recipient: link_in(mail) for recipient, mail in post.received}


def say(binding: Binding, token: str, choice: str, when: datetime = NOW) -> None:
    answer(binding, settings_of(), token, choice, now=when)


def seen(person: str, when: datetime, data: bytes | None = PLATES) -> dict[str, object]:
    """Return the record of a read of somebody's copy; None: nothing is there."""
    day = (when - MORNING).days
    if data is None:
        record = read(file_of(person), error=FileNotFoundError("gone")) | {"outcome": "SourceNotFound"}
    else:
        record = read(file_of(person), "reader@example.org", data, revision=f"of day {day}")
    return record | {"accessed_at": when.isoformat()}


def months(found: Ledger) -> list[tuple[str, str, int, int]]:
    return [(entry.month, entry.department, entry.copies, entry.bytes_saved) for entry in found.entries]


def test_a_copy_counts_when_it_is_seen_to_be_gone(binding: Binding) -> None:
    hire(*CHEMISTS)
    copies(binding, *CHEMISTS)
    tokens = asked(binding)
    assert len(tokens) == len(CHEMISTS) - 1
    for person in ("amy", "carla", "dora"):
        say(binding, tokens[login(person)], "withdraw")
    say(binding, tokens[login("emil")], "keep")
    say(binding, tokens[login("finn")], "withdraw")
    say(binding, tokens[login("finn")], "keep", NOW + DAY)  # changed her mind
    found = ledger(binding, now=NOW)
    assert (found.entries, found.bytes_saved, found.bytes_promised) == ((), 0, 3 * SIZE)

    events = [seen("amy", NOW + 2 * DAY), seen("amy", NOW + 3 * DAY, None), seen("amy", NOW + 40 * DAY, None)]
    events += [seen("carla", NOW + 35 * DAY, b"other bytes"), seen("carla", NOW + 50 * DAY, b"yet others")]
    events += [seen("emil", NOW + DAY, None), seen("finn", NOW + 2 * DAY, None)]  # nobody promised these
    catalogue(binding, events, "later")
    found = ledger(binding, now=NOW + 60 * DAY)
    assert months(found) == [("2026-06", "Chemistry", 1, SIZE), ("2026-07", "Chemistry", 1, SIZE)]
    assert (found.copies, found.bytes_saved, found.bytes_promised, found.hidden) == (2, 2 * SIZE, SIZE, 0)

    back = [seen("amy", NOW + 55 * DAY)]  # it came back: nothing was saved
    catalogue(binding, back, "back")
    found = ledger(binding, now=NOW + 60 * DAY)
    assert months(found) == [("2026-07", "Chemistry", 1, SIZE)]
    assert found.bytes_promised == 2 * SIZE


def test_what_was_gone_before_the_answer_does_not_count(binding: Binding) -> None:
    hire(*CHEMISTS)
    copies(binding, *CHEMISTS)
    tokens = asked(binding)
    catalogue(binding, [seen("amy", NOW + DAY, None), seen("amy", NOW + 2 * DAY)], "away and back")
    say(binding, tokens[login("amy")], "withdraw", NOW + 3 * DAY)
    assert ledger(binding).bytes_saved == 0
    catalogue(binding, [seen("amy", NOW + 4 * DAY, None)], "gone")
    assert ledger(binding).bytes_saved == SIZE


def test_it_counts_for_the_department_of_the_answer(binding: Binding) -> None:
    hire(*CHEMISTS)
    hire("gus", "hana", "ida", "jan", "kim", department="Biology")
    copies(binding, *CHEMISTS)
    tokens = asked(binding)
    amy, later = person_id("amy"), date(2026, 6, 10)
    Membership.insert1({"person_id": amy, "member_since": later, "department": "Biology"})
    say(binding, tokens[login("amy")], "withdraw", NOW)
    catalogue(binding, [seen("amy", NOW + 20 * DAY, None)], "gone")
    assert months(ledger(binding)) == [("2026-06", "Chemistry", 1, SIZE)]
    say(binding, tokens[login("amy")], "withdraw", NOW + 25 * DAY)  # said again after it was gone, and after she moved
    assert ledger(binding).bytes_saved == 0
    catalogue(binding, [seen("amy", NOW + 26 * DAY, None)], "still gone")
    assert months(ledger(binding)) == [("2026-06", "Biology", 1, SIZE)]


def test_a_withdrawn_copy_is_looked_for_at_its_source(binding: Binding, tmp_path: Path) -> None:
    hire("brendan", "amy", "carla")
    files = {}
    for person in ("brendan", "amy", "carla"):
        write_to(person, login(person))
        files[person] = tmp_path / person / "plates.csv"
        files[person].parent.mkdir()
        files[person].write_bytes(PLATES)
        record = read_file(files[person], "reader@example.org")
        owned = {"owner_realm": "acme", "owner_login": login(person)}
        catalogue(binding, [record | owned | {"accessed_at": f"2026-05-0{len(files)}T08:00:00"}], person)
    tokens = asked(binding)
    say(binding, tokens[login("amy")], "withdraw")
    say(binding, tokens[login("carla")], "withdraw")
    assert revisit(binding, settings_of(), NOW + DAY) == 0
    files["amy"].unlink()
    os.utime(files["amy"].parent, (NOW.timestamp(), NOW.timestamp()))  # as if it had been that day
    assert revisit(binding, settings_of(), NOW + 2 * DAY) == 1
    assert [row["gone_seen_at"] for row in QuestionCopyGone().to_dicts()] == [NOW + 2 * DAY]
    assert [row["gone_on"] for row in FileGone().to_dicts()] == [(NOW + 2 * DAY).date()]
    assert revisit(binding, settings_of(), NOW + 3 * DAY) == 0
    assert sorted(str(promise.gone_at) for promise in promises(binding)) == [str(NOW + 2 * DAY), "None"]
    assert months(ledger(binding, now=NOW + 3 * DAY)) == []  # of three people


def test_a_file_that_was_moved_saved_nothing(binding: Binding) -> None:
    hire(*CHEMISTS)
    copies(binding, *CHEMISTS)
    say(binding, asked(binding)[login("amy")], "withdraw")
    catalogue(binding, [seen("amy", NOW + DAY, None)], "gone")
    assert ledger(binding).bytes_saved == SIZE
    moved = read(file_of("amy", "elsewhere.csv"), "reader@example.org", PLATES)
    catalogue(binding, [moved | {"accessed_at": (NOW + 2 * DAY).isoformat()}], "moved")
    found = ledger(binding)
    assert (found.bytes_saved, found.bytes_promised) == (0, SIZE)


def test_a_source_that_cannot_tell_says_nothing(binding: Binding) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")  # of a system that is not on this machine
    say(binding, asked(binding)[login("amy")], "withdraw")
    assert revisit(binding, settings_of(), NOW + DAY) == 0
    assert len(QuestionCopyGone()) == len(FileGone()) == 0


def test_the_ledger_of_nothing(binding: Binding) -> None:
    assert ledger(binding) == Ledger((), 0, 0, 0, 0)
