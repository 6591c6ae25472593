"""A company at the stand-in for Microsoft 365, and the server that answers for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.server import Server


@pytest.fixture
def tenant() -> Tenant:
    return Tenant("contoso", seed=7)


@pytest.fixture
def server(tenant: Tenant) -> Iterator[Server]:
    with tenant.serve() as running:
        yield running
