"""A sum over whole tables that takes long makes no service unready, and holds up no end."""

from __future__ import annotations

import threading
from urllib.request import urlopen

import pytest
from servers.processes import free_port
from waiting import PATIENCE, wait_until

from data_platform.health import ask
from data_platform.settings import MonitorSettings, settings
from populate.watch import figures
from populate.watch.service import monitored
from schemas.binding import Binding

_SLEEP = {"postgresql": "SELECT 1 FROM pg_sleep(600)", "mysql": "SELECT SLEEP(600)"}
_SLEEPS = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE query = %s",
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE info = %s",
}


def test_a_long_sum_is_not_waited_for(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(figures._TOTALS, "reads", _SLEEP[binding.backend])
    asked = (_SLEEPS[binding.backend], (_SLEEP[binding.backend],))
    monitor = MonitorSettings(port=free_port())
    told: list[str] = []

    def scrape() -> None:
        with urlopen(f"http://127.0.0.1:{monitor.port}/metrics", timeout=PATIENCE) as answer:
            told.append(answer.read().decode())

    scraping = threading.Thread(target=scrape, daemon=True)
    with monitored(
        settings().model_copy(update={"monitor": monitor}), binding, stale_seconds=PATIENCE, store=False
    ) as service:
        service.beat()
        scraping.start()
        wait_until(lambda: bool(binding.connection.query(*asked).fetchone()[0]))
        wait_until(lambda: ask(monitor) == {"ready": True, "database": "ok", "work": "ok"})
        assert told == []  # it still waits for the sum
    scraping.join(PATIENCE)
    assert not scraping.is_alive()
    assert "data_platform_database_up 0.0" in told[0]
