"""The seed program, unchanged, against Microsoft 365: sign in, read, and the catalogue fills by itself."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.library import Item
from servers.microsoft365.people import User
from servers.microsoft365.server import Server

from populate.ingest import Ingest
from schemas.catalogue import File, FileName, FileOwner, Version
from schemas.identity import account_id
from schemas.people import Account, AccountName
from schemas.restrict import where
from schemas.sharing import Access, ShareEdge

pytestmark = pytest.mark.timeout(900)
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 240.0
RESULTS = b"plate,value\nA1,0.25\nA2,0.75\n"
SEED = """
from data_platform import read_onedrive
import pandas as pd

df = pd.read_csv(read_onedrive("{link}"))
"""
AND_TELL = "print(df.to_json(orient='records'))\n"


class Company:
    """Amy keeps results in her OneDrive; this machine's settings lead to the stand-in."""

    def __init__(self, server: Server, environment: dict[str, str]) -> None:
        self.server = server
        self.world = server.tenant
        self.amy, self.bob, self.colin = (self.world.add_user(name) for name in ("Amy Ade", "Bob Bell", "Colin Cole"))
        self.results: Item = self.world.upload(
            self.world.add_drive(self.amy), "Assays/results 2026.csv", RESULTS, self.amy
        )
        self.link = self.world.link(self.results, self.amy, scope="organization").link
        app = self.world.add_application(
            "data-platform",
            application="Files.Read.All User.Read.All",
            delegated="Files.Read.All Files.ReadWrite",
            secret="secret-of-the-worker",
        )
        server.desk.interval = 0
        self.environment = environment | server.environment(app) | {"DATA_PLATFORM_MICROSOFT365__KEYRING": "false"}

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, timeout=PATIENCE, check=False
        )
        assert done.returncode == code, done.stderr
        assert "secret" not in done.stderr + done.stdout
        return done

    def sign_in(self, user: User) -> str:
        self.server.sign_in(user)
        done = self.run(*PROGRAM, "login")
        self.server.sign_in(None)
        return done.stdout + done.stderr

    def read_in_a_program(self, folder: Path) -> list[dict[str, Any]]:
        assert self.link is not None
        program = folder / "analysis.py"
        program.write_text(SEED.format(link=self.link.url) + AND_TELL)
        found: list[dict[str, Any]] = json.loads(self.run(sys.executable, str(program)).stdout)
        return found

    def account(self, user: User) -> str:
        return account_id(f"entra/{self.world.tenant_id}", user.id)


@pytest.fixture
def company(running: Path) -> Iterator[Company]:
    with Tenant("contoso").serve() as server:
        yield Company(server, dict(os.environ))


def test_the_seed_program_and_what_follows_from_it(company: Company, tmp_path: Path) -> None:
    assert company.link is not None
    assert company.link.url.startswith("https://contoso-my.sharepoint.com/:x:/g/personal/")
    began = datetime.now(UTC).replace(tzinfo=None)
    told = company.sign_in(company.bob)
    assert "enter the code" in told
    assert f"Signed in as {company.bob.upn}" in told
    who = json.loads(company.run(*PROGRAM, "whoami", "--json").stdout)
    assert (who["microsoft365"]["name"], who["microsoft365"]["object_id"]) == (company.bob.upn, company.bob.id)

    frame = company.read_in_a_program(tmp_path)
    assert frame == [{"plate": "A1", "value": 0.25}, {"plate": "A2", "value": 0.75}]
    company.run(*PROGRAM, "flush")
    company.run(*PROGRAM, "worker", "--once")

    assert len(File()) == len(Version()) == len(Access()) == 1
    entry = (File() * FileName * FileOwner * Version * Account).fetch1()
    assert entry["source_system"] == "microsoft365/contoso-my.sharepoint.com"
    assert entry["item_id"] == f"{company.results.drive.id}/{company.results.id}"
    assert (entry["file_path"], entry["file_name"]) == ("Assays/results 2026.csv", "results 2026.csv")
    assert entry["sha256"] == hashlib.sha256(RESULTS).hexdigest()
    assert (entry["realm"], entry["login"]) == (f"entra/{company.world.tenant_id}", company.amy.id)
    access = Access().fetch1()
    assert (access["account_id"], access["known_by"]) == (company.account(company.bob), "source")
    assert access["function_name"] == "read_onedrive"
    assert company.link.url.rpartition("/")[2].partition("?")[0] not in access["url"]  # who has it may open the file
    assert began <= access["accessed_at"] <= datetime.now(UTC).replace(tzinfo=None)
    assert access["source_hash"].startswith("quickXorHash:")
    names = AccountName().to_arrays("account_id", "account_name")
    assert dict(zip(*names, strict=True)) == {
        company.account(company.amy): company.amy.upn,
        company.account(company.bob): company.bob.upn,
    }
    restored = tmp_path / "restored.csv"
    company.run(*PROGRAM, "restore", entry["sha256"], "--to", str(restored))
    assert restored.read_bytes() == RESULTS

    company.sign_in(company.colin)
    assert company.read_in_a_program(tmp_path) == frame
    company.run(*PROGRAM, "flush")
    company.run(*PROGRAM, "worker", "--once")
    assert len(File()) == len(Version()) == 1
    assert len(Ingest()) == len(Access()) == 2
    edges = where(ShareEdge, channel="read").to_dicts()
    assert {(edge["producer_id"], edge["consumer_id"]) for edge in edges} == {
        (company.account(company.amy), company.account(reader)) for reader in (company.bob, company.colin)
    }
    assert not [asked for asked in company.server.requests if asked.method not in {"GET", "POST"}]
    assert not company.results.permissions[0].link.redeemed  # type: ignore[union-attr]


def test_who_is_not_signed_in_is_told_what_to_run(company: Company) -> None:
    assert company.link is not None
    del company.environment["DATA_PLATFORM_MICROSOFT365__CLIENT_SECRET"]  # a scientist's computer has none
    refused = company.run(*PROGRAM, "read", company.link.url, code=1)
    assert "data-platform login" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    company.sign_in(company.bob)
    assert Path(company.run(*PROGRAM, "read", company.link.url).stdout.strip()).read_bytes() == RESULTS
    company.run(*PROGRAM, "logout")
    assert "data-platform login" in company.run(*PROGRAM, "read", company.link.url, code=1).stderr
