"""What a question shows is looked up for its own content, however many others are held twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from conversing import PLATES, copies, hire, link_in, login, settings_of
from deliveries import sha256
from servers.mail import mail_server

from populate.conversation.answering import question_of
from populate.conversation.asking import ask_due
from populate.duplicates import live
from populate.duplicates.rows import copies_of
from schemas.binding import Binding

NOW = datetime(2026, 6, 1, 9)


def test_a_question_looks_at_its_own_content_alone(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    copies(binding, "brendan", "amy", data=PLATES[:-1], name="other.csv")
    with mail_server() as post:
        settings = settings_of(post)
        ask_due(binding, settings, limit=1, now=NOW)
        token = link_in(dict(post.received)[login("amy")])
    looked_at: list[str] = []

    def noted(*arguments: Any, **values: Any) -> Any:
        found = copies_of(*arguments, **values)
        looked_at.extend(found)
        return found

    monkeypatch.setattr(live, "copies_of", noted)
    question = question_of(binding, settings, token, now=NOW)
    assert question.others == ("Brendan, Chemistry: the original, as far as can be told",)
    assert looked_at == [sha256(PLATES)]
