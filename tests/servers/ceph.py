"""A real Ceph RADOS Gateway on loopback: one monitor, one store in memory, one gateway."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.processes import DEADLINE, S3Server, accepts, free_port, start, stop, wait_until

NEEDED = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "radosgw-admin", "monmaptool")
HOW_TO_INSTALL = "install Ceph to run this: apt-get install radosgw ceph-mon ceph-osd ceph-common"

CONFIGURATION = """
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = v1:127.0.0.1:{mon_port}
public_network = 127.0.0.0/8
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_cluster_log_to_syslog = false
mon_tick_interval = 1
run_dir = {folder}/run
log_file = {folder}/$name.log
admin_socket = {folder}/run/$name.asok
crash_dir = {folder}
mon_data = {folder}/mon
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 34359738368
osd_class_update_on_start = false
osd_crush_update_on_start = false
osd_class_load_list = *
osd_class_default_list = *
osd_op_complaint_time = 300
ms_bind_ipv6 = false
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_enable_usage_log = false
# Quotas are looked up anew each time, so that a test sees one at once.
rgw_bucket_quota_ttl = 0
rgw_user_quota_bucket_sync_interval = 1
[client.rgw.a]
keyring = {folder}/keyring
"""


class Ceph(S3Server):
    """The gateway, with what only an administrator can do."""

    folder: Path

    def admin(self, *arguments: str) -> str:
        """Run ``radosgw-admin``."""
        return run(self.folder, "radosgw-admin", *arguments)


def missing_programs() -> list[str]:
    """Return what of Ceph is not installed here."""
    return [name for name in NEEDED if shutil.which(name) is None]


@contextmanager
def ceph_server(folder: Path) -> Iterator[Ceph]:
    """Run a gateway that keeps its files in `folder` and is gone afterwards.

    A port that was free may be taken by the time a server binds it, so all is tried thrice.
    """
    for attempt in range(3):
        home = folder / str(attempt)
        processes: list[subprocess.Popen[bytes]] = []
        try:
            server = start_all(home, processes)
        except (RuntimeError, subprocess.SubprocessError):
            stop(processes)
            if attempt == 2:
                raise
            continue
        try:
            yield server
        finally:
            stop(processes)
        return


def start_all(home: Path, processes: list[subprocess.Popen[bytes]]) -> Ceph:
    for name in ("mon", "osd", "run"):
        (home / name).mkdir(parents=True)
    (home / "keyring").touch()
    fsid, mon_port, port = str(uuid.uuid4()), free_port(), free_port()
    configuration = CONFIGURATION.format(folder=home, fsid=fsid, mon_port=mon_port, port=port)
    (home / "ceph.conf").write_text(configuration)
    start_monitor(home, fsid, mon_port, processes)
    start_osd(home, processes)
    key, secret = secrets.token_hex(10), secrets.token_hex(20)
    user = ("--uid=test", "--display-name=test", f"--access-key={key}", f"--secret-key={secret}")
    persistently(home, "radosgw-admin", "user", "create", *user)
    processes.append(start(["radosgw", "-f", "-c", home / "ceph.conf", "-n", "client.rgw.a"], home / "log"))
    wait_until(lambda: accepts(port), "radosgw", processes, home / "log")
    server = Ceph(f"http://127.0.0.1:{port}", key, secret)
    object.__setattr__(server, "folder", home)
    return server


def start_monitor(home: Path, fsid: str, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    monmap = str(home / "monmap")
    run(home, "monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{port}]", monmap)
    run(home, "ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
    processes.append(start(["ceph-mon", "-f", "-c", home / "ceph.conf", "-i", "a"], home / "log"))
    wait_until(lambda: accepts(port), "ceph-mon", processes, home / "log")


def start_osd(home: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    identity = str(uuid.uuid4())
    persistently(home, "ceph", "--connect-timeout", "10", "osd", "new", identity, "0")
    run(home, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
    persistently(home, "ceph", "osd", "crush", "add", "osd.0", "1.0", "host=h", "root=default")
    processes.append(start(["ceph-osd", "-f", "-c", home / "ceph.conf", "-i", "0"], home / "log"))
    wait_until(lambda: osd_is_up(home), "ceph-osd", processes, home / "log")


def osd_is_up(home: Path) -> bool:
    answer = persistently(home, "ceph", "osd", "stat", "--format", "json")
    return int(json.loads(answer)["num_up_osds"]) == 1


def persistently(home: Path, *command: str) -> str:
    """Run a command until it succeeds: a young cluster refuses some."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return run(home, *command)
        except subprocess.SubprocessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def run(home: Path, *command: str) -> str:
    """Run one of Ceph's programs to its end."""
    program, *arguments = command
    configured = [] if program == "monmaptool" else ["-c", str(home / "ceph.conf")]
    with (home / "log").open("ab") as log:
        done = subprocess.run(
            [program, *configured, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            timeout=DEADLINE, check=True, text=True,
        )  # fmt: skip
    return done.stdout
