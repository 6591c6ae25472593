"""New versions of followed files are told by mail and webhook, over real servers, to whoever may know them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from click.testing import CliRunner
from servers.mail import MailServer, mail_server
from servers.receiver import Posted, Receiver, receiver
from small_company import MONDAY, NOW, REALM, asking, deliver, dismiss, hire, path_id, person

from data_platform.cli import main
from data_platform.errors import RestrictionError, UnsafeLink
from data_platform.settings import settings
from populate.notes.subscriptions import SubscriptionView, follow, subscriptions_of, unfollow
from populate.notes.tables import VersionNotice
from populate.notes.telling import Told, tell_due
from populate.notes.webhook import hook_key
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.conversation import MailAddress
from schemas.identity import version_id
from schemas.notes import Subscription
from schemas.sharing import Permission, PermissionEnded

LUNG, NAME = path_id("/a/<b>lung.csv"), "/a/<b>lung.csv"
LATER = (NOW - MONDAY).days + 1  # day of a read that comes after NOW


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def lab(binding: Binding, post: MailServer, hooks: Receiver, monkeypatch: pytest.MonkeyPatch) -> Binding:
    """Amy's file, which Ben read; he follows it by mail and webhook, she by mail."""
    variables = {
        "REALM": REALM,
        "ACCOUNT": "ben",
        "MAIL__HOST": post.host,
        "MAIL__PORT": str(post.port),
        "MAIL__SECURITY": "none",
        "MAIL__SENDER": "catalogue@example.org",
        "HTTP__TRUSTED_HOSTS": f'["{hooks.authority}"]',
        "SUBSCRIPTIONS__WEBHOOK_HOSTS": f'["{hooks.authority}"]',
        "SUBSCRIPTIONS__WEBHOOK_KEY": "k" * 32,
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"DATA_PLATFORM_{name}", value)
    settings.cache_clear()
    monkeypatch.setattr(binding, "settings", settings())
    for login in ("amy", "ben", "cem"):
        hire(login, "Screening")
        told = {"address_since": date(2026, 1, 1), "mail_address": f"{login}@example.org"}
        MailAddress.insert1({"person_id": person(login), **told})
    read(binding, "ben", "first", 1)
    follow(asking(binding, "ben"), LUNG)
    follow(asking(binding, "ben"), LUNG)
    follow(asking(binding, "amy"), LUNG)
    follow(asking(binding, "ben"), LUNG, f"{hooks.url}/data")
    return binding


def read(binding: Binding, login: str, data: str, day: int) -> str:
    """Have somebody read the file as it was with these bytes, and return the id of that version."""
    before = set(Version.to_arrays("version_id"))
    deliver(binding, [(login, NAME, "amy", day)], batch=f"{data} {day}", data=data)
    return str(next(iter({*Version.to_arrays("version_id")} - before), ""))


def at(hours: float) -> datetime:
    return NOW + timedelta(days=1, hours=hours)


def mailed(post: MailServer) -> list[str]:
    found = sorted(recipient for recipient, _ in post.received)
    post.received.clear()
    return found


def view(lab: Binding, way: str) -> SubscriptionView:
    return next(view for view in subscriptions_of(asking(lab, "ben")) if view.way == way)


def test_each_new_version_is_told_once_to_whoever_may_know_it(lab: Binding, post: MailServer, hooks: Receiver) -> None:
    assert len(Subscription()) == 3
    with pytest.raises(RestrictionError, match="or you may not know it"):
        follow(asking(lab, "cem"), LUNG)
    with pytest.raises(UnsafeLink):
        follow(asking(lab, "ben"), LUNG, "https://elsewhere.example/")
    assert tell_due(lab, NOW) == Told(0, 0, 0, 0)
    read(lab, "cem", "older", 2)  # this was before anybody subscribed, and came late
    new = read(lab, "amy", "second", LATER)
    assert tell_due(lab, at(0)) == Told(2, 1, 0, 0)
    subject, text = post.received[0][1]["Subject"], post.received[0][1].get_body(("html",))
    assert mailed(post) == ["amy@example.org", "ben@example.org"]
    assert subject == "New version of <b>lung.csv"
    assert text is not None
    assert "&lt;b&gt;lung.csv" in text.get_content()
    (posted,) = hooks.posted
    assert posted.target == "/data"
    assert posted.json()["data"] == {
        "file_id": LUNG,
        "version_id": new,
        "name": "<b>lung.csv",
        "path": NAME,
        "source_system": "file/lab",
        "first_read_at": f"{(MONDAY + timedelta(days=LATER)).isoformat()}Z",
    }
    assert_signed(posted, hook_key(f"{hooks.url}/data", lab.settings))
    assert tell_due(lab, at(1)) == Told(0, 0, 0, 0)
    # The same bytes under another revision are nothing new.
    sha256 = str((Version() & {"version_id": new}).fetch1("sha256"))
    again = {"file_id": LUNG, "version_id": version_id("2", sha256), "sha256": sha256, "revision": "2"}
    Version.insert1(again)
    assert tell_due(lab, at(1)) == Told(0, 0, 0, 0)
    # A mail an hour at most; and whoever has left or lost access is told nothing.
    read(lab, "amy", "third", LATER)
    assert tell_due(lab, at(0.5)) == Told(0, 1, 0, 0)
    assert tell_due(lab, at(2)) == Told(2, 0, 0, 0)
    assert (view(lab, "mail").told, view(lab, "webhook").told_at) == (2, at(0.5))
    mailed(post)
    grant = {"file_id": LUNG, "grantee_id": person("ben"), "granted_since": NOW}
    Permission.insert1({**grant, "grantee": "ben", "grantee_kind": "account", "permission_level": "read"})
    PermissionEnded.insert1({**grant, "ended_at": at(2)})
    read(lab, "amy", "fourth", LATER)
    assert tell_due(lab, at(4)) == Told(1, 0, 0, 0)
    assert mailed(post) == ["amy@example.org"]
    dismiss("amy", date(2026, 6, 2))
    read(lab, "cem", "fifth", LATER)
    assert tell_due(lab, at(6)) == Told(0, 0, 0, 0)
    regranted = {**grant, "granted_since": at(5)}
    Permission.insert1({**regranted, "grantee": "ben", "grantee_kind": "account", "permission_level": "read"})
    unfollow(asking(lab, "ben"), LUNG, f"{hooks.url}/data")
    assert tell_due(lab, at(6)) == Told(1, 0, 0, 0)  # of both versions in one mail
    assert post.received[0][1]["Subject"] == "New version of <b>lung.csv"
    assert len(hooks.posted) == 2
    unfollow(asking(lab, "ben"), LUNG)
    read(lab, "cem", "sixth", LATER)
    assert tell_due(lab, at(8)) == Told(0, 0, 0, 0)
    with pytest.raises(RestrictionError, match="do not follow"):
        unfollow(asking(lab, "ben"), LUNG)


def assert_signed(posted: Posted, key: str) -> None:
    """Check a signature as a receiver does."""
    parts = (posted.headers["webhook-id"], posted.headers["webhook-timestamp"])
    signed = ".".join(parts).encode() + b"." + posted.body
    digest = hmac.new(base64.b64decode(key.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert posted.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_what_fails_is_tried_again_or_not_as_it_makes_sense(lab: Binding, post: MailServer, hooks: Receiver) -> None:
    read(lab, "amy", "second", LATER)
    hooks.answer = lambda posted: (302, {"Location": "http://127.0.0.1:1/"}, b"")  # redirects are not followed
    post.refuse = {"ben@example.org": "550 no such user", "amy@example.org": "450 busy"}
    assert tell_due(lab, at(0)) == Told(0, 0, 3, 0)
    assert "answered 302" in view(lab, "webhook").failure
    assert "550" in view(lab, "mail").failure
    assert tell_due(lab, at(0.05)) == Told(0, 0, 0, 0)  # it waits
    post.refuse = {}
    hooks.answer = lambda posted: (200, {}, b"ok")
    assert tell_due(lab, at(2)) == Told(1, 1, 0, 0)
    assert mailed(post) == ["amy@example.org"]
    first, second = hooks.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert view(lab, "webhook").failure == ""
    assert tell_due(lab, at(50)) == Told(0, 0, 0, 0)
    # A mail that may have gone out is not sent again; a webhook nobody answered is, some time later.
    third = read(lab, "amy", "third", LATER)
    post.hang_up = True
    since = view(lab, "webhook").since
    begun = {"person_id": person("ben"), "file_id": LUNG, "notice_way": "webhook", "subscribed_at": since}
    VersionNotice.insert1({**begun, "version_id": third, "notice_attempt": 1, "notice_begun_at": at(60)})
    told = tell_due(lab, at(60.1))
    assert (told.mails, told.hooks) == (0, 0)
    assert len(mailed(post)) == 1  # after which the server was gone for the other one
    post.hang_up = False
    assert tell_due(lab, at(70)) == Told(1, 1, 0, 0)
    assert tell_due(lab, at(90)) == Told(0, 0, 0, 0)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_commands(lab: Binding, post: MailServer, hooks: Receiver) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == code, done.output
        return done.output

    assert run("tag", LUNG, "#Lung", "ITX  47213") == "Tagged: lung, itx 47213\n"
    assert "lung       1" in run("tags")
    assert "<b>lung.csv" in run("tags", LUNG)
    run("tag", LUNG, "lung", "--remove")
    assert '"tag": "itx 47213"' in run("tags", "--having", "ITX 47213", "--json")
    assert "written by a file's owner" in run("note", LUNG, "wrong units", code=1)
    assert run("notes", LUNG) == "No notes.\n"
    assert "Give FILE and TEXT" in run("note", code=2)
    assert run("collect", "Trial 7", LUNG, "--share", "--about", "for the agency") == "Trial 7: 1 file, shared\n"
    assert "Trial 7: for the agency" in run("collections", "Trial 7")
    assert run("collect", "Trial 7", LUNG, "--remove", "--private") == "Trial 7: 0 files, private\n"
    run("collect", "Trial 7", "--end")
    assert run("collections").startswith("No collections.")
    run("save-search", "mine", "lung cohort", "--facet", "kind=csv")
    assert "kind=csv" in run("searches")
    run("searches", "--forget", "mine")
    assert run("searches", "--json") == "[]\n"
    run("save-search", "mine", "--facet", "csv", code=2)
    assert "mail" in run("following")
    run("follow", LUNG, "--end")
    assert run("following").startswith("You follow no file.")
    assert "by mail" in run("follow", LUNG)
    assert run("webhook-key", f"{hooks.url}/data").startswith("whsec_")
    read(lab, "amy", "second", 3650)
    assert run("following", "--tell") == "2 mails and 0 webhooks sent, 0 failed, 0 people without an address.\n"
    assert run("follow", "f" * 32, code=1) == run("follow", path_id("/nowhere"), code=1).replace(
        path_id("/nowhere"), "f" * 32
    )
