"""Both sides of a connection notice that the other one is gone without a word, before systems do by themselves."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing

import pytest
from servers.tcp_proxy import TcpProxy, target_of

from data_platform.settings import load
from schemas.binding import Binding
from schemas.drivers import ALIVE_AGAIN_SECONDS, ALIVE_SECONDS, ALIVE_TIMES, UNHEARD_SECONDS, MySQL, PostgreSQL, target

LEASE_SECONDS = 600
"""After which a job of a machine that is gone has to be taken over."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name the options otherwise")
def test_this_side_asks_for_signs_of_life(binding: Binding) -> None:
    database = load().database
    with TcpProxy(target_of(database.host, database.port)) as proxy:
        way = database.model_copy(update={"host": "127.0.0.1", "port": proxy.port})
        adapter = PostgreSQL() if binding.backend == "postgresql" else MySQL()
        with closing(adapter.open(target(way))) as connection:
            driven = connection.fileno() if binding.backend == "postgresql" else connection._sock.fileno()
            with socket.socket(fileno=os.dup(driven)) as same:
                found = [
                    same.getsockopt(*option)
                    for option in (
                        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                    )
                ]
    assert found == [1, ALIVE_SECONDS, ALIVE_AGAIN_SECONDS, ALIVE_TIMES, UNHEARD_SECONDS * 1000]
    assert max(ALIVE_SECONDS + ALIVE_TIMES * ALIVE_AGAIN_SECONDS, UNHEARD_SECONDS) < LEASE_SECONDS


@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_server_is_told_to_ask_too(binding: Binding) -> None:
    told = binding.connection.query(
        "SELECT name FROM pg_settings WHERE source = 'session' AND name LIKE %s ORDER BY name", ("tcp%",)
    ).fetchall()
    names = ("count", "idle", "interval")
    assert [name for (name,) in told] == [*(f"tcp_keepalives_{name}" for name in names), "tcp_user_timeout"]
