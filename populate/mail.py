"""Sends mail over SMTP, and tells apart what certainly did not go out from what may have.

The steps of SMTP are taken one by one, because it matters where one fails: until the server
has been handed the text nothing can have gone out. If the connection breaks after that,
before the server has said yes or no, nobody knows (`SendingUnknown`).
"""

from __future__ import annotations

import ipaddress
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime

from data_platform.errors import MailError, MailRefused, MailUnavailable, SettingsError
from data_platform.redact import redact_text
from data_platform.settings import MailSettings

PORTS = {"starttls": 587, "tls": 465, "none": 25}
REFUSED_FOR_GOOD = 500

# What addresses are made of in practice. Narrower than the standard, so that none can carry a
# second address, a header or a command of the protocol.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9.-]+)\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}\Z")
_LONGEST = 254
_POLICY = SMTP.clone(cte_type="7bit")  # any server takes that


class SendingUnknown(MailError):
    """The connection broke after the mail was handed over: it may have gone out, or not."""


def is_address(text: str) -> bool:
    """Tell whether `text` is one plain mail address and nothing else."""
    match = _ADDRESS.match(text) if len(text) <= _LONGEST else None
    return match is not None and _DOMAIN.match(match[1]) is not None


def is_permitted(address: str, settings: MailSettings) -> bool:
    """Tell whether mail may go to an address, by the setting ``mail.domains``."""
    domain = address.rpartition("@")[2].lower()
    return is_address(address) and (not settings.domains or domain in {name.lower() for name in settings.domains})


def message(subject: str, recipient: str, plain: str, html: str, settings: MailSettings) -> EmailMessage:
    """Return a mail with the same text twice, plain and as HTML.

    Raises
    ------
    SettingsError
        If the sender is not an address.
    MailRefused
        If the recipient is not one that mail may go to.
    """
    if not is_address(settings.sender):
        raise SettingsError("mail.sender is no mail address. Set it to the address that mail comes from.")
    if not is_permitted(recipient, settings):
        raise MailRefused("Mail must not go to this address. See that it is one, and the setting mail.domains.")
    made = EmailMessage(policy=_POLICY)
    made["Subject"] = " ".join(subject.split())
    made["From"], made["To"] = settings.sender, recipient
    made["Date"] = format_datetime(localtime())
    made["Auto-Submitted"] = "auto-generated"  # no holiday notes back
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(plain)
    made.add_alternative(html, subtype="html")
    return made


class Mailer:
    """A connection to the mail server, over which mails are handed one after the other."""

    def __init__(self, server: smtplib.SMTP) -> None:
        self._server = server

    def send(self, mail: EmailMessage) -> None:
        """Hand over a mail.

        Raises
        ------
        MailRefused
            If the server does not take it; `permanent` tells whether it would another time.
        MailUnavailable
            If the connection broke before it was handed over: it did not go out.
        SendingUnknown
            If it broke after that.
        """
        try:
            self._begin(mail)
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailUnavailable(f"The mail server is gone ({type(error).__name__}). Try again later.") from None
        try:
            code, said = self._server.data(mail.as_bytes())
        except smtplib.SMTPDataError as error:  # it did not want to be handed the text
            raise _refused(error.smtp_code, error.smtp_error) from None
        except (smtplib.SMTPException, OSError) as error:
            raise SendingUnknown(
                f"The mail server was gone before it said whether it took a mail ({type(error).__name__}). "
                "It is not sent again; look into the server's log."
            ) from None
        if code != 250:
            raise _refused(code, said)

    def _begin(self, mail: EmailMessage) -> None:
        """Say whom a mail is from and to; raises what smtplib raises."""
        with suppress(smtplib.SMTPServerDisconnected):
            self._server.rset()
        for code, said in (self._server.mail(str(mail["From"])), self._server.rcpt(str(mail["To"]))):
            if code not in (250, 251):
                raise smtplib.SMTPResponseException(code, said)


def _refused(code: int, said: bytes | str) -> MailRefused:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    shown = redact_text(" ".join(text.split()))[:200]
    error = MailRefused(f"The mail server does not take this mail: {code} {shown}. See to the address or the server.")
    error.permanent = code >= REFUSED_FOR_GOOD
    return error


@contextmanager
def mailer(settings: MailSettings) -> Iterator[Mailer]:
    """Connect to the mail server, encrypted and signed in as the settings say, for the block.

    Raises
    ------
    SettingsError
        If no server is set, or mail would travel unencrypted to another machine.
    MailUnavailable
        If the server does not answer, its certificate is not good, or the login is refused.
    """
    server = _connect(settings)
    try:
        yield Mailer(server)
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _connect(settings: MailSettings) -> smtplib.SMTP:
    if not settings.host:
        raise SettingsError("No mail server is set. Set mail.host and mail.sender.")
    if settings.security == "none" and not _is_this_machine(settings.host):
        raise SettingsError("mail.security is none and the server is another machine. Use starttls or tls.")
    port = settings.port or PORTS[settings.security]
    server: smtplib.SMTP | None = None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(settings.host, port, timeout=settings.timeout_seconds, context=context)
        else:
            server = smtplib.SMTP(settings.host, port, timeout=settings.timeout_seconds)
        if settings.security == "starttls":
            server.starttls(context=context)
        server.ehlo_or_helo_if_needed()
        if settings.user:
            server.login(settings.user, settings.password.get_secret_value())
    except (smtplib.SMTPException, OSError) as error:
        if server is not None:
            server.close()
        raise MailUnavailable(
            f"No mail can be sent by {settings.host}:{port}: {_reason(error)}. See that it runs and that the settings "
            "mail.* are right."
        ) from None
    return server


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "it refuses the login"  # what it says may repeat it
    return redact_text(str(error))[:200] or type(error).__name__


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
