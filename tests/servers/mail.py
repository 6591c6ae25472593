"""A real SMTP server for tests: it keeps what it is sent, and can be told to be difficult."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PATIENCE = 120


@dataclass
class MailServer:
    """Where the server listens, what it has, and how it behaves.

    Attributes
    ----------
    received
        Recipient and mail, in order of arrival.
    refuse
        Address -> answer to ``RCPT TO``, as ``550 no such user``.
    hang_up
        Take a mail, keep it, and break the connection instead of answering.
    vanish
        Break the connection at ``RCPT TO``.
    """

    host: str = "127.0.0.1"
    port: int = 0
    received: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    vanish: bool = False
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    implicit: bool = False

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.vanish:
            _break(server)
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        parsed = message_from_bytes(envelope.content or b"", policy=default)  # type: ignore[arg-type]
        assert isinstance(parsed, EmailMessage)
        self.encrypted.append(self.implicit or session.ssl is not None)
        self.received.extend((recipient, parsed) for recipient in envelope.rcpt_tos)
        if self.hang_up:
            _break(server)
        return "250 OK"


def _break(server: SMTP) -> None:
    transport: Any = server.transport
    transport.abort()


@contextmanager
def mail_server(
    context: ssl.SSLContext | None = None, login: tuple[str, str] | None = None, implicit: bool = False
) -> Iterator[MailServer]:
    """Run a server on a free port, in a thread, for the block.

    Parameters
    ----------
    context
        What it shows of itself with TLS; without it there is none.
    login
        Name and password that it asks for.
    implicit
        TLS from the first byte instead of by STARTTLS.
    """
    state = MailServer(implicit=implicit)

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        state.logins.append(data.login.decode())
        return AuthResult(success=(data.login.decode(), data.password.decode()) == login, handled=False)

    loop = asyncio.new_event_loop()

    def protocol() -> SMTP:
        return SMTP(
            state,
            hostname="mail.example.org",
            loop=loop,
            tls_context=None if implicit else context,
            require_starttls=context is not None and not implicit,
            authenticator=check if login else None,
            auth_required=login is not None and not implicit,  # it does not see TLS that is round all of it
            auth_require_tls=not implicit,
        )

    server = loop.run_until_complete(
        loop.create_server(protocol, state.host, 0, ssl=context if implicit else None)  # the port is free until closed
    )
    state.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    """Stop listening, and end the conversations that are still going on."""
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
