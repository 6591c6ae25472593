"""People sign in at the dashboard by OpenID Connect, with a real browser and real tokens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browsers import CHROMIUM, FLAGS, HOW_TO_INSTALL, PATIENCE, until_it_listens
from colleagues import REALM, Colleagues
from servers.openid import CLIENT, SECRET, Provider, openid_provider

from schemas.binding import Binding
from schemas.identity import account_id
from schemas.people import Departure

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser]


@pytest.fixture
def backend() -> str:
    """Who looks is found in the tables on both, which other tests show."""
    return "postgresql"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with openid_provider() as found:
        yield found


@pytest.fixture
def address(binding: Binding, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a dashboard at which Maria is a steward, beyond loopback as far as it knows."""
    people = Colleagues(tmp_path / "shares", monkeypatch)
    people.put("maria/trial.csv", b"a,b\n1,2\n")
    people.read("aiko", "maria/trial.csv")
    people.work()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {
        "DASHBOARD__OIDC_URL": f"{provider.address}/.well-known/openid-configuration",
        "DASHBOARD__CLIENT_ID": CLIENT,
        "DASHBOARD__CLIENT_SECRET": SECRET,
        "DASHBOARD__URL": f"http://127.0.0.1:{port}",
        "DASHBOARD__STEWARDS": '["maria"]',
    }
    environment = os.environ | {f"DATA_PLATFORM_{name}": value for name, value in own.items()}
    served = subprocess.Popen(
        [sys.executable, "-m", "data_platform", "dashboard", "--port", str(port), "--address", "0.0.0.0"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until_it_listens(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
        served.send_signal(signal.SIGINT)
        _, complaints = served.communicate(timeout=PATIENCE)
    finally:
        served.kill()
        served.wait()
    assert served.returncode == 0, complaints
    assert SECRET not in complaints


def test_who_signs_in_sees_what_they_may_and_who_left_is_turned_away(
    address: str, provider: Provider, binding: Binding
) -> None:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} not found; {HOW_TO_INSTALL}")
        pytest.skip(f"{CHROMIUM} not found; {HOW_TO_INSTALL}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE * 1000)
        try:
            provider.login = "aiko"
            page = browser.new_context().new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(f"{address}/files")
            page.get_by_role("button", name="Sign in").wait_for()
            assert "trial" not in page.content()
            page.get_by_role("button", name="Sign in").click()
            page.get_by_text("trial.csv").first.wait_for()
            assert page.get_by_role("link", name="All files").count() == 0
            complaints = []
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.goto(f"{address}/files")
            page.get_by_role("heading", name="Not for your role").wait_for()
            sections = page.get_by_test_id("stNavSectionHeader").all_inner_texts()
            assert [name.strip() for name in sections] == ["Discover", "You", "Enter"]
            assert complaints == []
            assert "trial" not in page.content()
            provider.login = "maria"
            other = browser.new_context().new_page()
            other.set_default_timeout(PATIENCE * 1000)
            other.goto(address)
            other.get_by_role("button", name="Sign in").click()
            other.get_by_role("link", name="All files").wait_for()
            aiko = account_id(REALM, "aiko")
            Departure.insert1({"person_id": aiko, "departed_on": datetime.now(UTC).date()})
            page.goto(address)
            page.get_by_role("heading", name="This account is closed").wait_for()
            assert "trial" not in page.content()
        finally:
            browser.close()
