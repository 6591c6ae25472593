"""Metrics and health over real HTTP, from a worker at real work, with its database and store taken away."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from deliveries import hand_in, item, read, read_file
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from servers.processes import free_port
from servers.tcp_proxy import TcpProxy, target_of
from waiting import PATIENCE, wait_until

from data_platform.errors import SettingsError
from data_platform.health import ask
from data_platform.settings import MonitorSettings, load, settings
from populate.backup.tables import Backup
from populate.ingest import Ingest
from populate.watch.monitor import Health, Monitor, store_look
from populate.watch.status import status
from readers.outbox import Outbox
from readers.run import run_record
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.sharing import Access


@contextmanager
def service(log: Path, name: str, *arguments: str, **environment: str) -> Iterator[int]:
    """Run a worker or scheduler that can be watched; return its port. A signal has to end it in good order."""
    process, port = started(log / "log", [sys.executable, "-m", "data_platform", name, *arguments], environment)
    try:
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    except BaseException:
        print((log / "log").read_text())
        raise
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
            child.kill()
        process.kill()
        process.wait()


def started(log: Path, command: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a service on a port that was free a moment ago; it may be taken by the time that it listens."""
    for _ in range(3):
        port = free_port()
        variables = os.environ | environment | {"DATA_PLATFORM_MONITOR__PORT": str(port)}
        with log.open("w") as output:
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=output)
        try:
            wait_until(lambda: process.poll() is not None or fetch(port, "/healthz")[0] == 200)  # noqa: B023
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.poll() is None or "can listen" not in log.read_text():
            break
    return process, port


def fetch(port: int, path: str, accept: str = "") -> tuple[int, str]:
    """Return status and body; 0 if nothing answers."""
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept}), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def metrics(port: int) -> dict[str, float]:
    """Return every sample, named as Prometheus names it: ``name{label=value}``."""
    status, text = fetch(port, "/metrics")
    assert status == 200, text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def name_of(sample: str) -> str:
    """Return what the reference calls a sample."""
    name = re.sub(r"_(bucket|count|sum)$", "", sample.partition("{")[0])
    return name.replace("_created", "_total" if "makes" in name else "")


def documented() -> set[str]:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    operating = (Path(__file__).parents[2] / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^\| `(data_platform_\w+)`", page, re.MULTILINE))
    assert {name_of(name) for name in re.findall(r"\bdata_platform_[a-z_]+", operating)} <= names
    return names


@pytest.mark.parametrize(("backend", "processes"), [("postgresql", "2"), ("mysql", "1")])
def test_a_worker_counts_what_it_makes(binding: Binding, tmp_path: Path, processes: str) -> None:
    outbox = Outbox(load().outbox_folder, load().outbox.model_copy(update={"ship": False}), run_record)
    for number in range(8):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(b"x" * (number + 1))
        hand_in(binding, [read_file(path), read_file(path, "carol")], run=str(number))
    with service(tmp_path, "worker", "--processes", processes) as port:
        wait_until(lambda: len(Backup()) == 8)
        made = "data_platform_makes_total{outcome=made,table=%s}"

        def counted() -> bool:
            found = metrics(port)
            all_made = all(found.get(made % table) == 8 for table in ("Ingest", "Backup"))
            return all_made and found.get("data_platform_workers") == int(processes)

        wait_until(counted)
        outbox.append(read(item("/b.csv")))  # nobody delivers it
        found = metrics(port)
        assert found[made % "Ingest"] == len(Ingest()) == 8
        for table in ("table=Ingest", "table=Backup"):
            assert found[f"data_platform_make_seconds_count{{{table}}}"] == 8
            assert found[f"data_platform_make_seconds_bucket{{le=+Inf,{table}}}"] == 8
            for state in ("waiting", "in_hand", "failed", "stuck"):
                assert found[f"data_platform_jobs{{state={state},{table}}}"] == 0
            assert found[f"data_platform_jobs_oldest_seconds{{{table}}}"] == 0
        wait_until(lambda: metrics(port)["data_platform_stored_bytes"] == sum(Blob.to_arrays("blob_size")))
        assert metrics(port)["data_platform_reads_delivered_total"] == len(Access()) == 16
        assert found["data_platform_database_up"] == 1
        assert found["data_platform_outbox_waiting"] == 1
        assert found["data_platform_outbox_oldest_seconds"] >= 0
        assert found["data_platform_delivery_lag_seconds"] >= 0
        assert found["data_platform_backups_failed"] == 0
        assert "data_platform_round_age_seconds" in found
        assert {name_of(sample) for sample in found} == documented()
        _, text = fetch(port, "/metrics", "application/openmetrics-text; version=1.0.0")
        families = open_families(text)  # type: ignore[no-untyped-call]
        assert {family.name for family in families} >= {
            "data_platform_makes",
            "data_platform_reads_delivered",
        }
        assert fetch(port, "/elsewhere")[0] == 404
    outbox.close()


def test_failures_and_what_waits_are_told(binding: Binding, tmp_path: Path) -> None:
    """A scheduler alone: jobs wait, nobody makes them."""
    gone = tmp_path / "gone.csv"
    gone.write_bytes(b"1")
    hand_in(binding, [read_file(gone)])
    with service(tmp_path, "scheduler") as port:
        waiting = "data_platform_jobs{state=waiting,table=Ingest}"
        wait_until(lambda: metrics(port)[waiting] == 1)
        binding.connection.query(
            f"UPDATE {Ingest.jobs.full_table_name} SET created_time = CURRENT_TIMESTAMP - INTERVAL '3600' SECOND"
        )
        found = metrics(port)
        assert found["data_platform_jobs_oldest_seconds{table=Ingest}"] >= 3600
        assert found["data_platform_schedulers"] == 1
        assert found["data_platform_workers"] == 0
        binding.connection.query(
            f"UPDATE {Ingest.jobs.full_table_name} SET status = 'error', error_message = 'ValueError: odd',"
            " completed_time = CURRENT_TIMESTAMP, priority = priority + 5"
        )
        found = metrics(port)
        assert found["data_platform_jobs{state=stuck,table=Ingest}"] == 1
        assert found[waiting] == 0
        assert status(binding, settings())["needs_person"] == 1
        well = {"ready": True, "database": "ok", "work": "ok"}
        wait_until(lambda: ask(MonitorSettings(port=port)) == well)


def test_a_service_is_not_ready_while_the_database_is_down(binding: Binding, tmp_path: Path) -> None:
    database = binding.settings.database
    target = target_of(database.host, database.port)
    with TcpProxy(target) as proxy:
        way = {"DATA_PLATFORM_DATABASE__HOST": "127.0.0.1", "DATA_PLATFORM_DATABASE__PORT": str(proxy.port)}
        with service(tmp_path, "worker", **way) as port:
            url = f"http://127.0.0.1:{port}"
            well = {"ready": True, "database": "ok", "store": "ok", "work": "ok"}
            wait_until(lambda: ask(MonitorSettings(), url) == well)
            proxy.block()
            wait_until(lambda: fetch(port, "/readyz")[0] == 503)
            told = json.loads(fetch(port, "/readyz")[1])
            assert not told["ready"]
            assert told["database"] != "ok"
            assert told["store"] == "ok"
            assert fetch(port, "/healthz") == (200, "ok\n")
            assert ask(MonitorSettings(), url, live=True) == {"ready": True, "service": "ok"}
            found = metrics(port)
            assert found["data_platform_database_up"] == 0
            assert "data_platform_workers" not in found
            assert not ask(MonitorSettings(), url)["ready"]
            proxy.unblock()
            wait_until(lambda: ask(MonitorSettings(), url) == well)
            hand_in(binding, [read(item("/a.csv"))])
            wait_until(lambda: len(Ingest()) == 1)  # and it works again


def test_a_store_that_is_gone_is_told(home: Path) -> None:
    look = store_look(load())
    look()
    health = Health({"store": look}, 60)
    assert health.ready() == (False, {"store": "ok", "work": "it has not begun yet"})
    health.beat()
    store = Path(load().store_url)
    store.rename(store.with_name("elsewhere"))
    ready, parts = health.ready()
    assert not ready
    assert parts["store"].startswith("StoreUnavailable: ")
    store.with_name("elsewhere").rename(store)
    assert health.ready() == (True, {"store": "ok", "work": "ok"})


def test_what_hangs_or_stands_still_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    released = Event()
    health = Health({"slow": lambda: released.wait(PATIENCE)}, stale_seconds=60)
    monkeypatch.setattr("populate.watch.monitor.ANSWER_SECONDS", 0.05)
    health.beat()
    assert health.ready()[1]["slow"].startswith("no answer")
    released.set()
    wait_until(lambda: health.ready()[0])
    still = Health({}, stale_seconds=0)
    still.beat()
    wait_until(lambda: (still.age or 0) > 0)
    assert not still.ready()[0]
    assert "ended" in still.ready()[1]["work"]


def test_secrets_are_not_told_and_errors_of_a_request_end_it_only() -> None:
    def look() -> None:
        raise OSError("cannot use https://user:hunter2@host/?sig=abcdef")

    class Broken:
        def collect(self) -> list[object]:
            raise RuntimeError("broken")

    registry = CollectorRegistry()
    registry.register(Broken())  # type: ignore[arg-type]
    settings = MonitorSettings(port=free_port())
    with Monitor(settings, Health({"store": look}, 60), registry):
        status, text = fetch(settings.port, "/readyz")
        assert status == 503
        assert "hunter2" not in text
        assert fetch(settings.port, "/metrics")[0] == 500
        assert fetch(settings.port, "/healthz")[0] == 200
        with pytest.raises(SettingsError, match=r"monitor\.port"), Monitor(settings, Health({}, 60), registry):
            pass
    assert fetch(settings.port, "/healthz")[0] == 0


def test_asking_nobody_is_told_how_to_ask() -> None:
    with pytest.raises(SettingsError, match=r"monitor\.port"):
        ask(MonitorSettings())
    with pytest.raises(SettingsError, match="http"):
        ask(MonitorSettings(), "ftp://somewhere")
    assert not ask(MonitorSettings(port=free_port()))["ready"]
