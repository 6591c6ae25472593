"""What people are told: nothing that a name could do, and no path of others."""

from __future__ import annotations

import re
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser

import pytest

from data_platform.settings import MailSettings
from populate.conversation.wording import (
    CHOICES,
    copyable,
    harmless,
    html_text,
    human,
    plain_text,
    subject,
    teams_link,
    told,
)
from populate.duplicates.live import Copy
from populate.duplicates.rows import Owner
from populate.mail import message
from schemas.conversation import ANSWERS

UNTIL = datetime(2026, 12, 29)
PAGE = "https://catalogue.example.org/?token=abc"
HOSTILE = (
    "<script>alert(1)</script>.csv",
    "<img src=https://evil.example/p.png onerror=alert(1)>.csv",
    '"><a href="https://evil.example">click</a>.csv',
    "report.csv\r\nBcc: eve@evil.example\r\n\r\n<b>hello</b>",
    "a\u202egnp.csv",
    "line\u2028separator\u2029.csv",
    "nul\0bell\x07.csv",
    "https://evil.example/login",
    "WWW.evil.example",
    "mailto:eve@evil.example",
    "evil.example",
    "eve@evil.example",
    "report of eve.evil.example/login.csv",
    "javascript:alert(1)",
    "{{7*7}} ${jndi:ldap://evil.example} %(name)s",
    "x" * 4000,
    "𝕄𝔸𝕋ℍ ünï ✓.csv",
)


JOINER = "\N{WORD JOINER}"


class Tags(HTMLParser):
    """Collects the tags and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs]


def copy(path: str, person: str, department: str = "Chemistry", *, origin: bool = False) -> Copy:
    owner = Owner(person, "acme", person, person, person.title(), department) if person else Owner()
    return Copy("1" * 64, 10, path, "v", path, path, "file/lab", owner, UNTIL, None, origin, "seen")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_only_shown(name: str) -> None:
    question = told(name, 10, [f"/amy/{name}"], [copy("/secret", name, name, origin=True)], unnamed=())
    settings = MailSettings(sender="catalogue@example.org")
    mail = message(
        subject(question, 1),
        "amy@example.org",
        plain_text(question, PAGE, UNTIL),
        html_text(question, PAGE, UNTIL),
        settings,
    )
    received = message_from_bytes(mail.as_bytes(), policy=default)
    assert received.keys() == mail.keys()
    assert received["To"] == "amy@example.org"
    plain, html = (received.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    seen = Tags()
    seen.feed(html)
    assert seen.tags == {"html", "body", "p", "ul", "li", "a"}
    assert seen.links == [PAGE]
    assert [word for word in plain.split() if "://" in word] == [PAGE]
    assert ".evil" not in plain.lower().replace(f"{JOINER}.", "")
    assert "evil.example" not in plain + html
    assert "mailto:" not in plain
    assert not set(plain) & set("\0\x07\u202e\u2028\u2029")
    assert "\nBcc" not in plain
    assert len(plain.splitlines()) < 40


@pytest.mark.parametrize(
    "text",
    [
        "evil.com", "EVIL.CO", "see evil.zip", "eve@evil.com", "a.csv.evil.com", "evil.com.csv", "evil.com/x.csv",
        "b\u00fccher.example", "evil.xn--p1ai", "evil\u3002com", "evil\uff0ecom", "10.20.30.40",
        "/shares/evil.com/plates.csv", "evil.newtld-x", "Evil.com",
    ],
)  # fmt: skip
def test_a_bare_name_of_a_host_is_no_link(text: str) -> None:
    shown = harmless(text)
    assert shown != text
    assert copyable(shown) == shown.replace(JOINER, "") == text
    assert copyable(harmless(f"a{JOINER}b")) != "ab"  # what comes from outside stays to be seen
    assert not re.search(r"(?i)[^\s\u2060][.\u3002\uff0e](?:com?|zip|example|xn--\w+|newtld)\b", shown)
    assert "10.20.30.40" not in shown


@pytest.mark.parametrize(
    "path",
    ["/amy/plates.csv", "/amy/v1.2/reads.fastq.gz", "C:\\amy\\Trial 7.XLSX", "a.b", ".csv", "1.2.3", "..", "x.h5ad"],
)
def test_what_is_no_link_can_be_copied_as_it_is(path: str) -> None:
    assert harmless(path) == path


def test_of_others_owner_and_department_are_told_and_no_path() -> None:
    others = [copy("/brendan/plates.csv", "brendan", origin=True), copy("/cyd/1", "cyd", ""), copy("/cyd/2", "cyd", "")]
    others.append(copy("/nobody/3", ""))
    question = told("Amy", 2_000_000, ["/amy/a.csv", "/amy/b.csv"], others, unnamed=())
    assert question.others == (
        "Brendan, Chemistry: the original, as far as can be told",
        "Cyd: 2 copies",
        "somebody whom the source does not name: a copy",
    )
    for text in (plain_text(question, PAGE, UNTIL), html_text(question, PAGE, UNTIL)):
        assert "/amy/a.csv" in text
        assert "/amy/b.csv" in text
        assert "4.0 MB" in text
        assert "29 December 2026" in text
        assert not any(path in text for path in ("/brendan", "/cyd", "/nobody", "plates"))
        assert all(choice in text for choice in CHOICES.values())
    assert subject(question, 1) == "Do you still need your copy of a.csv?"
    assert subject(question, 2).startswith("Reminder: ")


def test_who_is_not_findable_is_told_by_department_alone() -> None:
    others = [copy("/b/1", "brendan", origin=True), copy("/c/2", "cyd"), copy("/d/3", "dee"), copy("/e/4", "eve", "")]
    question = told("Amy", 1, ["/amy/a.csv"], others, unnamed={"brendan", "dee", "eve"})
    assert question.others == (
        "somebody in Chemistry: the original, as far as can be told",
        "Cyd, Chemistry: a copy",
        "somebody: a copy",
        "somebody in Chemistry: a copy",
    )


def test_many_copies_do_not_make_a_long_mail() -> None:
    question = told(
        "Amy", 1, [f"/amy/{n}" for n in range(1000)], [copy(f"/{n}", f"p{n}") for n in range(1000)], unnamed=()
    )
    assert "and 990 more" in plain_text(question, PAGE, UNTIL)
    assert len(plain_text(question, PAGE, UNTIL).splitlines()) < 60


def test_a_chat_is_only_a_draft_and_names_no_path() -> None:
    link = teams_link("brendan#ext#@example.org", told("Amy", 1, ["/amy/secret project/a&b.csv"], [], unnamed=()))
    assert link.startswith("https://teams.microsoft.com/l/chat/0/0?users=brendan%23ext%23%40example.org&message=")
    assert "a%26b.csv" in link
    assert "secret" not in link
    assert link in plain_text(told("Amy", 1, ["/a"], [], unnamed=()), PAGE, UNTIL, link)


def test_the_choices_are_those_of_the_table() -> None:
    assert tuple(CHOICES) == ANSWERS


def test_text_is_cut_in_the_middle_and_sizes_are_for_people() -> None:
    assert harmless("a" * 50 + "b" * 50, 11) == "aaaaa…bbbbb"
    assert [human(n) for n in (1, 999, 1500, 2e18)] == ["1 bytes", "999 bytes", "1.5 kB", "2,000.0 PB"]
