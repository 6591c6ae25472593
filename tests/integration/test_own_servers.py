"""The servers and hosts that tests start themselves come up, or the reason why not is told where it matters."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from servers import mysql
from servers.hosts import NoHosts, do_without
from servers.mysql import MySQLMissing, mysql_server
from servers.processes import free_port


@pytest.mark.timeout(900)
def test_a_port_that_is_taken_meanwhile_costs_mysql_another_try_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1]]
        monkeypatch.setattr(mysql, "free_port", lambda: ports.pop() if ports else free_port())
        try:
            with mysql_server(tmp_path) as server:
                assert (ports, server.port == taken.getsockname()[1]) == ([], False)
                assert server.execute("SELECT CURRENT_USER()") == [("root@%",)]
                server.execute("CREATE DATABASE more", "CREATE ROLE somebody", "GRANT SELECT ON more.* TO somebody")
        except MySQLMissing as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))


@pytest.mark.parametrize(
    ("ci", "elsewhere", "by_kernel", "fails"),
    [
        ("true", "", False, True),
        ("true", "", True, False),
        ("true", "true", False, False),
        ("", "", False, False),
    ],
)
def test_a_test_that_wants_hosts_is_not_skipped_in_silence_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, elsewhere: str, by_kernel: bool, fails: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("HOSTS_AS_ROOT", elsewhere)
    outcome = pytest.fail.Exception if fails else pytest.skip.Exception
    with pytest.raises(outcome, match="run this test as root"):
        do_without(NoHosts("run this test as root", by_kernel))
