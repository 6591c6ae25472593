"""`data-platform deploy` on a server, as its owner types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from servers.mysql import MySQLServer
from servers.sites import Site, mysql_site


def deploy(site: Site, *arguments: str) -> str:
    database = {**site.database, "user": f"{site.prefix}_login_owner", "password": site.logins["owner"]}
    variables = {f"DATA_PLATFORM_DATABASE__{name.upper()}": str(value) for name, value in database.items()}
    command = [sys.executable, "-m", "data_platform", "deploy", *arguments]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_deploying_prints_the_grants_and_may_be_repeated(mysql: MySQLServer, home: Path, tmp_path: Path) -> None:
    with mysql_site(mysql, tmp_path) as site:
        assert json.loads(deploy(site, "--no-roles", "--json"))["grants"] == []
        roles = mysql.execute(f"SELECT user FROM mysql.user WHERE user = '{site.prefix}_reader'")
        assert roles == []
        text = deploy(site)
        inbox = {f"{site.prefix}_sharing.{table}" for table in ("access", "access_batch", "access_run")}
        inbox |= {f"{site.prefix}_output.output", f"{site.prefix}_code.run_code"}
        (granted,) = (line for line in text.splitlines() if line.startswith("  reader: INSERT on "))
        assert {*granted.removeprefix("  reader: INSERT on ").split(", ")} == inbox
        assert "  dashboard: SELECT on all " in text
        assert "dashboard: UPDATE" not in text
        assert "dashboard: DELETE" not in text
        grants = json.loads(deploy(site, "--json"))["grants"]
        assert {grant["role"] for grant in grants} == {
            *("reader", "worker", "dashboard", "steward", "answers", "entries", "notices")
        }
