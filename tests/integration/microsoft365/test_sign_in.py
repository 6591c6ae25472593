"""Signing in as a person: by code, by browser, silently afterwards, and what is said when that ends."""

from __future__ import annotations

import json
import stat
import threading
import webbrowser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import keyring.backend
import pytest
from reading_world import Place, place, read
from servers.microsoft365.browser import visit
from servers.microsoft365.library import Item
from servers.microsoft365.server import Server

from data_platform.errors import AccessDenied, SettingsError, SignInNeeded, SourceError
from data_platform.settings import Settings
from readers.microsoft365.accounts import Account, Accounts
from readers.microsoft365.sign_in import sign_in, sign_out
from readers.microsoft365.source import Microsoft365Source
from readers.microsoft365.token_cache import KeyringKeeper, keeper
from readers.source import Login


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def item(found: Place) -> Item:
    item = found.upload("a.csv", b"1")
    found.world.share(item, found.amy, found.bob)
    return item


def test_a_code_is_entered_once_and_all_processes_read(found: Place, item: Item) -> None:
    here, said = found.settings(), list[str]()
    found.server.sign_in(found.bob)
    account = sign_in(here, said.append)
    assert said == [
        f"Open {found.server.url}/common/oauth2/deviceauth in any browser, enter the code "
        f"{next(iter(found.server.desk.devices.values())).user_code} and sign in."
    ]
    assert account.login == Login(f"entra/{found.world.tenant_id}", found.bob.id)
    assert account.login.shown == found.bob.upn
    found.server.sign_in(None)
    for _ in range(2):
        source = Microsoft365Source(here)
        assert source.account() == account.login
        assert read(source, item.url) == b"1"
    assert found.server.count("devicecode") == 1


def test_what_is_kept_is_for_its_owner_alone(found: Place) -> None:
    folder = found.signed_in(found.amy).home / "microsoft365"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("tokens.json", "accounts.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    kept = (folder / "tokens.json").read_text()
    assert any(token in kept for token in found.server.tokens.refresh)
    assert not any(token in (folder / "accounts.json").read_text() for token in found.server.tokens.refresh)


def test_others_must_not_have_been_able_to_read_it(found: Place, item: Item) -> None:
    here = found.signed_in(found.amy)
    (here.home / "microsoft365" / "tokens.json").chmod(0o644)
    with pytest.raises(SettingsError, match="not yours alone"):
        Microsoft365Source(here).resolve(item.url)


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring as an operating system has it, for the length of a test."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def test_the_keyring_of_the_system_is_preferred(found: Place, item: Item) -> None:
    before, mine = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(mine)
    try:
        here = found.signed_in(found.amy, keyring=True)
        assert isinstance(keeper(here), KeyringKeeper)
        assert not (here.home / "microsoft365" / "tokens.json").exists()
        assert any(token in "".join(mine.kept.values()) for token in found.server.tokens.refresh)
        assert read(Microsoft365Source(here), item.url) == b"1"
    finally:
        keyring.set_keyring(before)
    with pytest.raises(SignInNeeded, match="data-platform login"):
        Microsoft365Source(found.settings(home=found.amy.id)).resolve(item.url)


class Browser(webbrowser.BaseBrowser):
    """Opens pages of the stand-in, beside the program that waits."""

    def __init__(self, server: Server) -> None:
        super().__init__("stand-in")
        self._server = server
        self.visits: list[threading.Thread] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.visits.append(threading.Thread(target=visit, args=(self._server, url)))
        self.visits[-1].start()
        return True


def test_a_browser_on_this_machine(found: Place, item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(found.server)
    monkeypatch.setattr(webbrowser, "get", lambda using=None: browser)
    monkeypatch.setattr(webbrowser, "open", browser.open)
    here = found.settings()
    found.server.sign_in(found.bob)
    assert sign_in(here, lambda sentence: None, browser=True).name == found.bob.upn
    assert read(Microsoft365Source(here), item.url) == b"1"
    found.server.sign_in(None)
    with pytest.raises(SignInNeeded, match="declined"):
        sign_in(found.settings(home="other"), lambda sentence: None, browser=True)
    for each in browser.visits:
        each.join(60)


def test_a_sign_in_that_is_declined_or_forgotten(found: Place) -> None:
    def decline(sentence: str) -> None:
        for device in found.server.desk.devices.values():
            device.declined = True

    with pytest.raises(SignInNeeded, match="declined"):
        sign_in(found.settings(), decline)

    def let_time_pass(sentence: str) -> None:
        found.world.advance(hours=1)

    with pytest.raises(SignInNeeded, match="in time"):
        sign_in(found.settings(), let_time_pass)
    assert Accounts(found.settings()).all() == []


def test_nobody_is_signed_in(found: Place, item: Item) -> None:
    source = Microsoft365Source(found.settings())
    assert source.account() is None
    with pytest.raises(SignInNeeded, match=r"Nobody is signed in .* Run `data-platform login` once"):
        source.resolve(item.url)
    with pytest.raises(SettingsError, match=r"microsoft365\.client_id is empty"):
        sign_in(found.settings(client_id=""), lambda sentence: None)


def short_lived(found: Place) -> Settings:
    """Return settings of somebody whose token is renewed with each request."""
    found.server.tokens.seconds = 60
    return found.signed_in(found.bob)


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("unused", SignInNeeded, "expired or was ended .*AADSTS700082.* Run `data-platform login`"),
        ("revoked", SignInNeeded, "expired or was ended .* Run `data-platform login`"),
        ("second factor", SignInNeeded, "another proof .*AADSTS50076.* Run `data-platform login`"),
        ("consent", SignInNeeded, "consented .* administrator"),
        ("disabled", AccessDenied, "closed or locked .* administrator"),
    ],
)
def test_a_sign_in_that_has_ended_says_what_to_do(
    found: Place, item: Item, what: str, error: type[SourceError], says: str
) -> None:
    source = Microsoft365Source(short_lived(found))
    assert read(source, item.url) == b"1"
    if what == "unused":
        found.world.advance(days=91)
    elif what == "revoked":
        found.server.tokens.revoke(found.bob)
    elif what == "disabled":
        found.world.disable(found.bob)
    else:
        found.server.desk.interaction[found.bob.id] = 50076 if what == "second factor" else 65001
    with pytest.raises(error, match=says) as caught:
        source.resolve(item.url)
    assert found.bob.upn in str(caught.value)
    if what in {"unused", "revoked", "second factor"}:
        found.signed_in(found.bob)
        assert read(source, item.url) == b"1"  # a notebook that was open meanwhile goes on


def test_a_claims_challenge_is_met_silently_or_by_signing_in(found: Place, item: Item) -> None:
    here = found.signed_in(found.bob)
    source = Microsoft365Source(here)
    found.server.challenge(found.bob)
    assert read(source, item.url) == b"1"
    found.world.advance(seconds=5)
    found.server.challenge(found.bob, again=True)
    with pytest.raises(SignInNeeded, match="data-platform login"):
        source.resolve(item.url)
    [account] = Accounts(here).all()
    assert json.loads(account.claims)["access_token"]
    assert read(Microsoft365Source(found.signed_in(found.bob)), item.url) == b"1"
    assert Accounts(here).all()[0].claims == ""


def test_who_signs_in_beside_the_one_of_the_settings_is_told_who_reads(found: Place) -> None:
    found.server.sign_in(found.bob)
    said: list[str] = []
    sign_in(found.settings(account=found.amy.upn), said.append)
    assert found.amy.upn.casefold() in said[-1]
    assert "stay recorded" in said[-1]
    said.clear()
    sign_in(found.settings(account=found.bob.upn.upper()), said.append)
    assert not any("recorded" in sentence for sentence in said)


def test_no_sign_in_is_lost_when_many_change_the_list(found: Place) -> None:
    here = found.settings()
    everybody = [Account("t", f"o{number}", f"n{number}", f"h{number}") for number in range(16)]
    with ThreadPoolExecutor(len(everybody)) as pool:
        list(pool.map(lambda account: Accounts(here).put_first(account), everybody))
    assert set(Accounts(here).all()) == set(everybody)


def test_several_accounts(found: Place, item: Item) -> None:
    here = found.settings()
    for user in (found.amy, found.bob):
        found.server.sign_in(user)
        sign_in(here, lambda sentence: None)
    assert [one.name for one in Accounts(here).all()] == [found.bob.upn, found.amy.upn]
    login = Microsoft365Source(here).account()
    assert login is not None
    assert login.name == found.bob.id
    as_amy = found.settings(account=found.amy.upn.upper())
    assert Microsoft365Source(as_amy).account() == Login(f"entra/{found.world.tenant_id}", found.amy.id)
    private = found.upload("private.csv", b"2")
    assert read(Microsoft365Source(as_amy), private.url) == b"2"
    with pytest.raises(AccessDenied):
        read(Microsoft365Source(here), private.url)
    sign_out(here, Accounts(here).all()[0])
    assert read(Microsoft365Source(here), private.url) == b"2"
    with pytest.raises(SignInNeeded, match=r"bob.*is not signed in"):
        Microsoft365Source(found.settings(account=found.bob.upn)).resolve(item.url)
    kept = (here.home / "microsoft365" / "tokens.json").read_text()
    assert found.bob.id not in kept
    assert found.amy.id in kept


def test_a_worker_without_a_person_reads_as_its_application(found: Place, item: Item) -> None:
    worker = found.source()
    assert worker.account() == Login(f"entra/{found.world.tenant_id}", found.app.client_id.lower())
    assert read(worker, item.url) == b"1"
    by_domain = found.source(tenant=found.world.domain)
    assert by_domain.account() is not None
