"""The world as a whole, and the door to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from servers.microsoft365.sharing import Sharing

if TYPE_CHECKING:
    from servers.microsoft365.server import Server


class Tenant(Sharing):
    """A company: its people, what they keep in Microsoft 365, and what they did.

    ``Tenant("contoso", seed=1)`` is the same each time, but for its dates.
    """

    @contextmanager
    def serve(self) -> Iterator[Server]:
        """Serve the tenant over HTTPS on ports of loopback until the block ends."""
        from servers.microsoft365.server import Server

        with Server(self) as server:
            yield server
