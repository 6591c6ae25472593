"""Mail over a real SMTP server: encrypted, signed in, and what is known when it goes wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from certificates import Authority
from servers.mail import MailServer, mail_server

from data_platform.errors import MailRefused, MailUnavailable, SettingsError
from data_platform.settings import MailSettings
from populate.mail import SendingUnknown, is_address, is_permitted, mailer, message

AMY = "amy@example.org"


def settings_for(server: MailServer, **changes: object) -> MailSettings:
    values = {"host": server.host, "port": server.port, "security": "none", "sender": "catalogue@example.org"}
    return MailSettings.model_validate({**values, **changes})


def send(settings: MailSettings, subject: str = "A question", *recipients: str) -> None:
    with mailer(settings) as server:
        for recipient in recipients or (AMY,):
            server.send(message(subject, recipient, "Grüße\n.\nend\n", "<p>Grüße</p>", settings))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_out_encrypted_and_signed_in(security: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with mail_server(authority.server_side("127.0.0.1"), ("catalogue", "pass word"), security == "tls") as server:
        settings = settings_for(server, security=security, ca=authority.path, user="catalogue", password="pass word")
        send(settings, "Ä question\r\nBcc: eve@example.org")
        assert server.encrypted == [True]
        recipient, mail = server.received[0]
        assert (recipient, mail["To"], mail["Bcc"]) == (AMY, AMY, None)
        assert mail["Subject"] == "Ä question Bcc: eve@example.org"
        assert mail["Auto-Submitted"] == "auto-generated"
        plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert plain is not None
        assert html is not None
        assert plain.get_content().splitlines() == ["Grüße", ".", "end"]
        assert html.get_content().strip() == "<p>Grüße</p>"
        with pytest.raises(MailUnavailable, match="refuses the login") as refused:
            send(settings.model_copy(update={"user": "somebody"}))
        assert "pass word" not in str(refused.value)
        assert set(server.logins) == {"catalogue", "somebody"}


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with mail_server(Authority(tmp_path).server_side("127.0.0.1")) as server:
        with pytest.raises(MailUnavailable, match="certificate"):
            send(settings_for(server, security="starttls"))
        assert server.received == []


def test_what_the_server_refuses_leaves_the_others_alone() -> None:
    with mail_server() as server:
        server.refuse = {"gone@example.org": "550 no such user", "busy@example.org": "451 greylisted"}
        settings = settings_for(server)
        with mailer(settings) as connection:
            for recipient, permanent in (("gone@example.org", True), ("busy@example.org", False)):
                with pytest.raises(MailRefused) as refused:
                    connection.send(message("x", recipient, "x", "x", settings))
                assert refused.value.permanent is permanent
            connection.send(message("x", AMY, "x", "x", settings))
        assert [recipient for recipient, _ in server.received] == [AMY]


def test_it_is_told_apart_whether_a_mail_may_have_gone_out() -> None:
    with mail_server() as server:
        server.vanish = True
        with pytest.raises(MailUnavailable):
            send(settings_for(server))
        server.vanish, server.hang_up = False, True
        with pytest.raises(SendingUnknown):
            send(settings_for(server))
        assert len(server.received) == 1


def test_no_server_and_no_encryption_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MailUnavailable, match=str(port)):
        send(settings_for(MailServer(port=port)))
    with pytest.raises(SettingsError, match=r"mail\.host"):
        send(MailSettings())
    with pytest.raises(SettingsError, match="starttls"):
        send(MailSettings(host="mail.example.org", security="none", sender=AMY))


@pytest.mark.parametrize(
    "text",
    [
        *("", "amy", "amy@", "@example.org", "amy@example", "amy@example.org\r\nBcc: eve@example.org"),
        *("amy@example.org, eve@example.org", "amy@example.org>", "Amy <amy@example.org>", "amy @example.org"),
        *("a\0my@example.org", "ämy@example.org", "amy@exa_mple.org", "amy@example.org\n", f"{'a' * 250}@example.org"),
    ],
)
def test_what_is_no_address_gets_no_mail(text: str) -> None:
    settings = MailSettings(sender=AMY)
    assert not is_address(text)
    with pytest.raises(MailRefused, match=r"mail\.domains"):
        message("x", text, "x", "x", settings)


def test_mail_stays_within_the_domains() -> None:
    settings = MailSettings(sender=AMY, domains=("Example.org",))
    assert is_permitted("amy@EXAMPLE.org", settings)
    assert not is_permitted("amy@example.org.evil.example", settings)
    with pytest.raises(SettingsError, match=r"mail\.sender"):
        message("x", AMY, "x", "x", MailSettings())
