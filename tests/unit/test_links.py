"""The one reading of a link: what is refused, and that no other program reads it otherwise."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_platform.errors import SettingsError, UnknownSource, UnsafeLink
from readers.addresses import MAX_LINK, Link, TrustedHosts


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.org/data.csv", "https://example.org/data.csv"),
        ("HTTPS://Example.ORG/Data.CSV", "https://example.org/Data.CSV"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org?x=1", "https://example.org/?x=1"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("https://example.org:8443/a#part", "https://example.org:8443/a"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://93.184.216.34/a", "https://93.184.216.34/a"),
        ("https://[2606:2800:220:1:0:0:0:1]/a", "https://[2606:2800:220:1::1]/a"),
        ("https://xn--mller-kva.example/a", "https://xn--mller-kva.example/a"),
        ("https://example.org/two words/µ.csv", "https://example.org/two%20words/%C2%B5.csv"),
        ("https://example.org/a%20b%2Fc?x=%41", "https://example.org/a%20b%2Fc?x=%41"),
        ("https://example.org/100% done.csv", "https://example.org/100%25%20done.csv"),
        ("https://example.org/a@b:c.csv", "https://example.org/a@b:c.csv"),
        ("https://lab_host.example/a", "https://lab_host.example/a"),
    ],
)
def test_reads_plain_links(url: str, canonical: str) -> None:
    assert Link.parse(url).url == canonical
    assert Link.parse(canonical).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.org/",
        "https://user:pw@example.org/",
        "https://example.org@127.0.0.1/",
        "https://127.0.0.1\\@example.org/",
        "https://example.org\\.evil.example/",
        "https://exa\tmple.org/",
        "https://example.org/\r\nHost: evil",
        "https://example.org/\x00",
        "https://exa mple.org/",
        "https://example.org%2eevil.example/",
        "https://%31%32%37.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        "https://exаmple.org/",  # a Cyrillic letter
        "https://ⓛocalhost/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://127.0.0.1./",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://example.0x1/",
        "https://[::1%25lo]/",
        "https://[::1/",
        "https://::1/",
        "https://[127.0.0.1]/",
        "https://[::ffff:999.0.0.1]/",
        "https://example.org:/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:٣/",
        "https://example.org:-1/",
        "https://exa..mple.org/",
        "https://.example.org/",
        "https://example.org./",
        "https://-x.example.org/",
        "https://" + "a" * 64 + ".org/",
        "https://" + "a." * 150 + "org/",
        "https:///etc/passwd",
        "https://",
        "https://example.org/\ud800",
        "https://example.org/" + "a" * MAX_LINK,
    ],
)
def test_refuses_what_programs_read_differently(url: str) -> None:
    with pytest.raises(UnsafeLink) as caught:
        Link.parse(url)
    assert str(caught.value).endswith(".")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/a", "gopher://127.0.0.1/", "//example.org/a", "https:/a", "a b", ""],
)
def test_other_schemes_are_no_links_of_ours(url: str) -> None:
    with pytest.raises(UnknownSource):
        Link.parse(url)


def test_an_error_shows_no_secret() -> None:
    for url in ("https://amy:hunter2@example.org/", "https://exa mple.org/?sig=hunter2&se=1", "ftp://u:hunter2@x/"):
        with pytest.raises((UnsafeLink, UnknownSource)) as caught:
            Link.parse(url)
        assert "hunter2" not in str(caught.value)


def test_identity_and_repr_have_no_secrets() -> None:
    link = Link.parse("https://example.org/a.csv?page=2&X-Amz-Signature=hunter2&X-Amz-Date=now#frag")
    assert link.identity == "https://example.org/a.csv?page=2"
    assert "hunter2" not in repr(link)
    assert "hunter2" in link.url


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("other.csv", "https://example.org/dir/other.csv"),
        ("/other.csv?x=1", "https://example.org/other.csv?x=1"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("https://cdn.example/x", "https://cdn.example/x"),
        ("../up.csv", "https://example.org/up.csv"),
        ("?page=2", "https://example.org/dir/a.csv?page=2"),
    ],
)
def test_joins_redirects(location: str, expected: str) -> None:
    assert Link.parse("https://example.org/dir/a.csv").join(location).url == expected


@pytest.mark.parametrize(
    "location",
    [
        "//127.0.0.1\\@example.org/",
        "\\\\127.0.0.1/x",
        "/\\127.0.0.1/",
        "https://u@x/",
        "https://[x/",
        "ht\ntps://x/",
        "file:///x",
    ],
)
def test_refuses_malformed_redirects(location: str) -> None:
    with pytest.raises((UnsafeLink, UnknownSource)):
        Link.parse("https://example.org/dir/a.csv").join(location)


@pytest.mark.parametrize("entry", ["https://host", "host/", "user@host", "host:port", "host:99999", "a b", "", "127.1"])
def test_wrong_trusted_hosts_are_told(entry: str) -> None:
    with pytest.raises(SettingsError, match="trusted_hosts"):
        TrustedHosts([entry])


def test_trust_is_by_host_or_by_host_and_port() -> None:
    trusted = TrustedHosts(["Files.Example.org:8443", "lab", "[::1]:80"])
    for url in ("https://files.example.org:8443/x", "https://lab/x", "http://lab:81/", "http://[0::1]/"):
        assert Link.parse(url) in trusted
    for url in (
        "https://files.example.org/x",
        "https://x.files.example.org:8443/",
        "https://lab.evil/",
        "http://[::1]:81/",
    ):
        assert Link.parse(url) not in trusted


_PIECES = st.sampled_from(
    [
        *(
            "https://",
            "http://",
            "HTTPS://",
            "https:/",
            "https:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            ".",
            "%",
            "[",
            "]",
        ),
        *("127.0.0.1", "0x7f.1", "2130706433", "[::1]", "localhost", "example.org", "%2e", "%00", "\t", "\n", " "),
        *(";", "①", "。", "é", "xn--", "80", "443", "user", "&", "=", "::ffff:127.0.0.1", "\u202e", "\x7f", "..", "-"),
    ]
)


@given(st.one_of(st.lists(_PIECES, max_size=12).map("".join), st.text(max_size=40).map("https://".__add__)))
@example("https://127.0.0.1\\@example.org/")
@example("https://example.org#@127.0.0.1/")
@example("https://example.org?@127.0.0.1/")
def test_every_other_parser_agrees_on_what_is_accepted(url: str) -> None:
    try:
        link = Link.parse(url)
    except (UnsafeLink, UnknownSource):
        return
    for text in (url, link.url):
        split = urlsplit(text)
        assert split.hostname is not None
        host = split.hostname if ":" not in link.host else Link.parse(f"https://[{split.hostname}]").host
        assert (host, split.port or link.port, split.username) == (link.host, link.port, None)
    core = httpcore.URL(link.url)
    assert core.host.decode().strip("[]") == link.host
    assert (core.port or link.port, core.target.decode()) == (link.port, link.target)
    assert Link.parse(link.url) == link
    assert Link.parse(link.identity).origin == link.origin
