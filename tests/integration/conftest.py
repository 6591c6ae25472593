"""Servers for the integration tests, each started when a test first asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from botocore.loaders import create_loader

# Contracts and servers assert, too: pytest explains only what it rewrites before it is imported.
pytest.register_assert_rewrite("source_contract", "store_contract", "web_server", "web_faults")

from servers.ceph import HOW_TO_INSTALL, Ceph, ceph_server, missing_programs  # noqa: E402
from servers.moto import moto_server  # noqa: E402
from servers.processes import S3Server  # noqa: E402

from data_platform.settings import settings  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """Let the many clients of the tests share boto3's descriptions of services: reading them is most of their cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lru_cache(create_loader))
        yield


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto: keys and permissions count, the hashes of bodies do not."""
    with moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A real Ceph RADOS Gateway."""
    if missing := missing_programs():
        message = f"{', '.join(missing)} not found; {HOW_TO_INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with ceph_server(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@pytest.fixture
def any_s3(request: pytest.FixtureRequest) -> S3Server:
    """The most real one of the S3 servers that are installed here."""
    found: S3Server = request.getfixturevalue("s3_server" if missing_programs() else "ceph")
    return found


@pytest.fixture
def set_store(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what changes settings of the store; there is one in a folder, and a second one, from the beginning."""

    def change(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"DATA_PLATFORM_STORE__{name}", value)
        settings.cache_clear()

    change(URL=str(home / "store"), REPLICA_URL=str(tmp_path / "second"))
    return change
