"""A small company in Microsoft 365, and a source that reads there as one of its people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.library import Item
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server

from data_platform.settings import Settings, load
from readers import transport
from readers.microsoft365.sign_in import sign_in
from readers.microsoft365.source import Microsoft365Source
from readers.source import Item as SourceItem
from readers.source import Revision

SCOPES = "Files.Read.All Files.ReadWrite"


class Place:
    """The stand-in, what people have there, and settings that lead to it."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server = server
        self.home = home
        self.world = server.tenant
        self.app: Application = self.world.add_application(
            "data-platform", application="Files.Read.All User.Read.All", delegated=SCOPES, secret="secret-of-the-worker"
        )
        self.amy, self.bob = (self.world.add_user(name) for name in ("Amy Ade", "Bob Bell"))
        self.drive = self.world.add_drive(self.amy)
        server.desk.interval = 0

    def settings(self, *, home: str = "home", worker: bool = False, **microsoft365: object) -> Settings:
        """Return settings of a person's machine, or of a worker's."""
        given = self.server.settings(self.app)
        section = given.pop("microsoft365") | {"keyring": False} | microsoft365
        if not worker:
            section["client_secret"] = ""
        return load(home=self.home / home, microsoft365=section, **given)

    def signed_in(self, user: User, **settings: object) -> Settings:
        """Return settings of a machine at which `user` has signed in."""
        found = self.settings(home=user.id, **settings)  # type: ignore[arg-type]
        self.server.sign_in(user)
        sign_in(found, lambda sentence: None)
        return found

    def source(self, user: User | None = None, **settings: object) -> Microsoft365Source:
        """Return a source that reads as `user`, else as the worker."""
        if user is not None:
            return Microsoft365Source(self.signed_in(user, **settings))
        return Microsoft365Source(self.settings(worker=True, **settings))  # type: ignore[arg-type]

    def upload(self, path: str, data: bytes) -> Item:
        return self.world.upload(self.drive, path, data, self.amy)


@contextmanager
def place(home: Path, patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Serve the company; this process trusts its certificates until the end."""
    with Tenant("contoso").serve() as server, patch.context() as trusting:
        trusting.setenv("SSL_CERT_FILE", str(server.ca))
        transport.tls_context.cache_clear()
        try:
            yield Place(server, home)
        finally:
            transport.tls_context.cache_clear()


def fetch(source: Microsoft365Source, item: SourceItem) -> tuple[bytes, Revision]:
    """Return an item's bytes, and the revision that the source says they belong to."""
    received: list[bytes] = []
    revision = source.download(item, source.revision(item), received.append)
    return b"".join(received), revision


def read(source: Microsoft365Source, link: str) -> bytes:
    """Return the bytes behind a link."""
    return fetch(source, source.resolve(link))[0]
