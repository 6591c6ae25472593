"""`HttpSource` against a real web server."""

from __future__ import annotations

import copy
import dataclasses
import gzip
import logging
import pickle
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from source_contract import Shelf, SourceContract, fetch
from web_faults import chunked, encoded
from web_server import Page, WebServer, web_server

from data_platform.errors import AccessDenied, TooLarge, UnknownSource, UnsafeLink, UnsupportedItem
from data_platform.settings import HttpSettings, Settings
from readers import linked, transport
from readers.cache import Cache
from readers.fetch import fetch as held_in
from readers.http import HttpSource
from readers.source import Source

PAST = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def settings_for(web: WebServer, **http: object) -> Settings:
    return Settings(http=HttpSettings(trusted_hosts=(web.authority,), **http))


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def source(web: WebServer) -> HttpSource:
    return HttpSource(settings_for(web))


class TaggedShelf(Shelf):
    """Files on a server that gives ETags."""

    def __init__(self, web: WebServer) -> None:
        self._web = web

    def page(self, data: bytes) -> Page:
        return Page(data, etag=f'"{sha256(data).hexdigest()[:20]}"')

    def put(self, path: str, data: bytes) -> str:
        return self._web.put(f"/shelf/{path}", self.page(data))

    def remove(self, path: str) -> None:
        self._web.remove(f"/shelf/{path}")

    def link(self, path: str) -> str:
        return self._web.url(f"/shelf/{path}")


class StampedShelf(TaggedShelf):
    """Files on a server that gives times of change, and refuses HEAD."""

    _changes = 0

    def page(self, data: bytes) -> Page:
        self._changes += 1
        return Page(data, modified=PAST + timedelta(seconds=self._changes), head=False)


class HttpContract(SourceContract):
    has_folders = False

    @pytest.fixture
    def source(self, web: WebServer) -> Source:
        return HttpSource(settings_for(web))


class TestHttpSourceWithTags(HttpContract):
    @pytest.fixture
    def shelf(self, web: WebServer) -> Shelf:
        return TaggedShelf(web)


class TestHttpSourceWithStamps(HttpContract):
    @pytest.fixture
    def shelf(self, web: WebServer) -> Shelf:
        return StampedShelf(web)


# --- what is known, and what it costs


def test_one_request_tells_name_and_revision(
    web: WebServer, source: HttpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "_FRESH_SECONDS", 1e9)
    link = web.put("/a.csv", Page(b"12345", etag='"1"', modified=PAST))
    item = source.resolve(link)
    revision = source.revision(item)
    assert (revision.token, revision.size, revision.modified_at) == ('etag:"1"', 5, PAST.replace(tzinfo=None))
    assert [asked.method for asked in web.requests] == ["HEAD"]
    source.revision(item)
    assert [asked.method for asked in web.requests] == ["HEAD", "HEAD"]


def test_what_was_seen_long_ago_is_asked_again(
    web: WebServer, source: HttpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "_FRESH_SECONDS", 0.0)
    item = source.resolve(web.put("/a.csv", Page(b"old", etag='"1"')))
    web.put("/a.csv", Page(b"new", etag='"2"'))
    assert source.revision(item).token == 'etag:"2"'


def test_an_item_keeps_its_link_to_itself(web: WebServer, source: HttpSource) -> None:
    link = web.put("/a.csv", Page(b"12345", etag='"1"')) + "?X-Amz-Date=1&X-Amz-Signature=hunter2"
    item = source.resolve(link)
    copies = [pickle.loads(pickle.dumps(item)), copy.deepcopy(item), dataclasses.replace(item)]
    assert all(each == item for each in copies)
    for shown in (repr(item), str(dataclasses.asdict(item)), str(pickle.dumps(item))):
        assert "hunter2" not in shown
    assert all(fetch(source, each)[0] == b"12345" for each in copies)


def test_asks_for_the_bytes_as_they_are(web: WebServer, source: HttpSource) -> None:
    fetch(source, source.resolve(web.put("/a.csv", Page(b"12345", etag='"1"'))))
    (asked,) = web.asked("GET", "/a.csv")
    assert asked.headers["accept-encoding"] == "identity"
    assert "range" not in asked.headers
    assert "cookie" not in asked.headers
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    "page",
    [
        Page(b"12345"),
        Page(b"12345", etag='W/"1"'),
        Page(b"12345", etag="unquoted"),
        Page(b"12345", modified=datetime.now(UTC) + timedelta(days=1)),
        Page(b"12345", modified=PAST, length=False),
    ],
    ids=["nothing", "a weak tag", "a malformed tag", "a time not yet past", "a time without length"],
)
def test_without_a_reliable_validator_nothing_is_ever_known(web: WebServer, source: HttpSource, page: Page) -> None:
    item = source.resolve(web.put("/a.csv", page))
    tokens = {source.revision(item).token for _ in range(4)}
    assert len(tokens) == 4
    data, revision = fetch(source, item)
    assert data == b"12345"
    assert revision.token == f"sha256:{sha256(data).hexdigest()}"
    assert revision.token not in tokens
    assert revision.size == 5


def test_a_long_or_odd_tag_still_makes_a_storable_token(web: WebServer, source: HttpSource) -> None:
    tokens = []
    for tag in ('"' + "x" * 2000 + '"', '"' + "x" * 2001 + '"', '"\u00e9"'):
        item = source.resolve(web.put("/a.csv", Page(b"1", etag=tag)))
        tokens.append(source.revision(item).token)
        assert source.revision(item).token == tokens[-1]
        assert len(tokens[-1]) <= 512
        assert tokens[-1].isprintable()
    assert len(set(tokens)) == 3


def test_a_stamp_behind_a_moving_redirect_is_of_its_target(web: WebServer, source: HttpSource) -> None:
    for version in ("v1", "v2"):
        web.put(f"/{version}/data.csv", Page(version.encode(), modified=PAST))
    tokens = set()
    for version in ("v1", "v2"):
        item = source.resolve(web.redirect("/latest.csv", f"/{version}/data.csv"))
        tokens.add(source.revision(item).token)
        assert fetch(source, item)[0] == version.encode()
    assert len(tokens) == 2


def test_an_empty_file_where_head_is_refused(web: WebServer, source: HttpSource) -> None:
    item = source.resolve(web.put("/empty.csv", Page(b"", etag='"e"', head=False)))
    data, revision = fetch(source, item)
    assert (data, revision.size, revision.token) == (b"", 0, 'etag:"e"')


def test_the_cache_asks_and_downloads_only_what_is_new(web: WebServer, source: HttpSource, tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1_000_000, 3600)

    def read(page: Page) -> tuple[bytes, bool, int]:
        before = len(web.asked("GET", "/a.csv"))
        held = held_in(source, source.resolve(web.put("/a.csv", page)), cache)
        assert held.path is not None
        return held.path.read_bytes(), held.from_cache, len(web.asked("GET", "/a.csv")) - before

    for validators in ({"etag": '"1"'}, {"modified": PAST}):
        assert read(Page(b"old", **validators)) == (b"old", False, 1)
        assert read(Page(b"old", **validators)) == (b"old", True, 0)
    assert read(Page(b"new", etag='"2"')) == (b"new", False, 1)
    for _ in range(2):
        assert read(Page(b"old")) == (b"old", False, 1)


# --- names


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="plate 1.xlsx"', "plate 1.xlsx"),
        ("attachment; filename=plate.xlsx", "plate.xlsx"),
        ("attachment; filename=\"x\"; filename*=UTF-8''Zellz%C3%A4hlung%20%C2%B5.xlsx", "Zellzählung µ.xlsx"),
        ("attachment; filename*=iso-8859-1'de'f%FCr.csv", "für.csv"),
        ('attachment; filename="a\\"b.csv"', 'a"b.csv'),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\x.csv"', "x.csv"),
        ("attachment; filename*=UTF-8''..%2F..%2Fx%00.csv", "x.csv"),
        ('attachment; filename=".."', "export"),
        ("inline", "export"),
        ("attachment; filename*=utf-16''x", "export"),
    ],
)
def test_the_server_names_the_file(web: WebServer, source: HttpSource, disposition: str, name: str) -> None:
    link = web.put("/export", Page(b"1", headers={"Content-Disposition": disposition}))
    assert source.resolve(link).name == name


def test_names_from_the_link(web: WebServer, source: HttpSource) -> None:
    page = Page(b"1", etag='"1"')
    for path, name in (("/", "127.0.0.1"), ("/dir/", "dir"), ("/..%2Fx.csv", "..%2Fx.csv")):
        assert source.resolve(web.put(path, page)).name == name
    web.put("/a/b\\c.csv", page)
    assert source.resolve(web.origin + "/a/b%5Cc.csv").name == "c.csv"


# --- identity and secrets


SIGNED = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={0}&X-Amz-Expires=60&X-Amz-Security-Token=hunter2{0}&X-Amz-Signature=hunter2{0}",
    "sv=2022&se=2031-0{0}&sr=b&sp=r&sig=hunter2{0}",
    "Expires={0}&Key-Pair-Id=K&Signature=hunter2{0}",
]


@pytest.mark.parametrize("query", SIGNED, ids=["aws", "azure", "cloudfront"])
def test_signed_links_are_one_item(web: WebServer, source: HttpSource, query: str) -> None:
    link = web.put("/a.csv", Page(b"12345", etag='"1"'))
    items = [source.resolve(f"{link}?page=1&{query.format(n)}#part") for n in (1, 2)]
    assert {item.item_id for item in items} == {f"{link}?page=1"}
    assert source.revision(items[0]) == source.revision(items[1])
    for item in items:
        assert "hunter2" not in repr(item)
        assert fetch(source, item)[0] == b"12345"
    assert "hunter2" in web.asked("GET", "/a.csv")[0].target


@pytest.mark.parametrize("query", ["token=hunter2", "key=hunter2", "sig=hunter2", "sv=1&se=2&sig=x&token=hunter2"])
def test_where_a_secret_may_name_the_item_no_validator_is_believed(
    web: WebServer, source: HttpSource, query: str
) -> None:
    link = web.put("/get", Page(b"12345", etag='"1"'))
    item = source.resolve(f"{link}?{query}")
    assert "hunter2" not in repr(item)
    assert source.revision(item).token != source.revision(item).token
    assert fetch(source, item)[1].token.startswith("sha256:")


def test_a_reopened_link_says_that_its_secret_is_gone(web: WebServer, source: HttpSource) -> None:
    item = source.reopen(f"http/{web.authority}", web.url("/private.csv"))
    web.put("/private.csv", Page(b"no", status=403))
    with pytest.raises(AccessDenied, match="not kept"):
        source.revision(item)
    with pytest.raises(AccessDenied, match="not kept"):
        fetch(source, item)


def test_reopen_checks_the_system(web: WebServer, source: HttpSource) -> None:
    with pytest.raises(UnknownSource):
        source.reopen("https/other.example", web.url("/a.csv"))


def test_debug_logs_show_no_secret(web: WebServer, source: HttpSource, caplog: pytest.LogCaptureFixture) -> None:
    web.put("/a.csv", Page(b"12345", etag='"1"'))
    link = web.redirect("/go", "/a.csv?X-Amz-Date=1&X-Amz-Signature=hunter2", Set_Cookie="session=hunter2")
    with caplog.at_level(logging.DEBUG):
        fetch(source, source.resolve(f"{link}?sig=hunter2&se=1"))
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert "hunter2" not in caplog.text


# --- redirects


def test_follows_redirects_and_carries_cookies_within_one_host(web: WebServer, source: HttpSource) -> None:
    web.put("/b.csv", Page(b"12345", etag='"1"'))
    web.redirect("/two", "b.csv", 307, Set_Cookie="second=2; Path=/; HttpOnly")
    link = web.redirect("/one", "/two", 301, Set_Cookie="first=1")
    item = source.resolve(link)
    assert (item.item_id, item.name) == (link, "one")
    assert fetch(source, item)[0] == b"12345"
    (asked,) = web.asked("GET", "/b.csv")
    assert asked.headers["cookie"] == "first=1; second=2"
    assert "cookie" not in web.asked("GET", "/one")[0].headers


class SignedInSource(HttpSource):
    """As a company would write it."""

    def headers(self, origin: str) -> Mapping[str, str]:
        return {"Authorization": "Bearer hunter2"} if origin == self.home else {}

    home = ""


def test_neither_authorization_nor_cookies_reach_another_host(web: WebServer) -> None:
    with web_server() as other:
        source = SignedInSource(Settings(http=HttpSettings(trusted_hosts=(web.authority, other.authority))))
        source.home = web.origin
        other.put("/a.csv", Page(b"12345", etag='"1"'))
        link = web.redirect("/go", other.url("/a.csv"), Set_Cookie="session=hunter2")
        assert fetch(source, source.resolve(link))[0] == b"12345"
        assert web.asked("GET", "/go")[0].headers["authorization"] == "Bearer hunter2"
        for asked in other.requests:
            assert not {"authorization", "cookie"} & asked.headers.keys()


@pytest.mark.parametrize("allowed", [0, 3])
def test_redirects_are_counted(web: WebServer, allowed: int) -> None:
    source = HttpSource(settings_for(web, max_redirects=allowed))
    web.put("/0", Page(b"end", etag='"1"'))
    for hop in range(1, allowed + 2):
        web.redirect(f"/{hop}", f"/{hop - 1}")
    assert fetch(source, source.resolve(web.url(f"/{allowed}")))[0] == b"end"
    with pytest.raises(UnsafeLink, match="redirects more than"):
        source.resolve(web.url(f"/{allowed + 1}"))
    web.redirect("/loop", "/loop")
    with pytest.raises(UnsafeLink):
        source.resolve(web.url("/loop"))


# --- pages to sign in at


@pytest.mark.parametrize("path", ["/login", "/auth/SignIn.aspx", "/adfs/ls", "/oauth2/authorize"])
def test_a_redirect_to_a_login_page_is_a_refusal(web: WebServer, source: HttpSource, path: str) -> None:
    web.put(path, Page(b"<html>Please sign in</html>", content_type="text/html; charset=utf-8"))
    with pytest.raises(AccessDenied, match="sign in"):
        source.resolve(web.redirect("/data.csv", path))


def test_a_login_form_instead_of_a_data_file_is_a_refusal(web: WebServer, source: HttpSource) -> None:
    form = b"\n<!DOCTYPE html><html><body><form><input name=p type='password'></form></body></html>"
    item = source.resolve(web.put("/data.csv", Page(form, etag='"1"', content_type="text/html")))
    received: list[bytes] = []
    with pytest.raises(AccessDenied, match="sign in"):
        source.download(item, source.revision(item), received.append)
    assert received == []


@pytest.mark.parametrize("size", [0, 100, 200_000])
def test_other_pages_are_taken_as_they_are(web: WebServer, source: HttpSource, size: int) -> None:
    form = b"<html><input type=password>" + b"x" * size
    for path, content, kind in (
        ("/report.html", form, "text/html"),
        ("/wiki/page", form, "text/html"),
        ("/login.csv", b"a,b\n" + b"1,password\n" * size, "text/html"),
        ("/notes.txt", form, "text/plain"),
    ):
        item = source.resolve(web.put(path, Page(content, etag='"1"', content_type=kind)))
        assert fetch(source, item)[0] == content
    moved = source.resolve(web.redirect("/old.html", "/report.html"))
    assert fetch(source, moved)[0] == form


# --- how the bytes travel


def test_chunks_without_a_length(web: WebServer, source: HttpSource) -> None:
    data = b"0123456789" * 1234
    item = source.resolve(web.put("/a.csv", Page(data, etag='"1"', faults=[chunked()])))
    data_read, revision = fetch(source, item)
    assert data_read == data
    assert (revision.size, revision.token) == (len(data), 'etag:"1"')


def test_an_answer_that_ends_with_the_connection(web: WebServer, source: HttpSource) -> None:
    item = source.resolve(web.put("/a.csv", Page(b"12345", etag='"1"', length=False)))
    assert fetch(source, item)[0] == b"12345"


def test_compression_nobody_asked_for_is_undone(web: WebServer, source: HttpSource) -> None:
    data = b"0123456789" * 300_000
    two_members = gzip.compress(data[:7]) + gzip.compress(data[7:])
    for encoding, body in (
        ("gzip", gzip.compress(data)),
        ("x-gzip", two_members),
        ("deflate", zlib.compress(data)),
        ("identity", data),
    ):
        item = source.resolve(web.put("/a.csv", Page(data, etag='"1"', faults=[encoded(encoding, body)])))
        received, revision = fetch(source, item)
        assert received == data
        assert revision.size == len(data)


def test_a_compressed_file_stays_compressed(web: WebServer, source: HttpSource) -> None:
    body = gzip.compress(b"12345")
    page = Page(body, etag='"1"', faults=[encoded("gzip", body)])
    assert fetch(source, source.resolve(web.put("/a.csv.gz", page)))[0] == body


def test_an_unknown_compression_is_refused(web: WebServer, source: HttpSource) -> None:
    item = source.resolve(web.put("/a.csv", Page(b"12345", etag='"1"', faults=[encoded("br", b"?")])))
    with pytest.raises(UnsupportedItem, match="br"):
        fetch(source, item)


def test_too_large_is_refused_before_a_byte_or_at_the_limit(web: WebServer) -> None:
    source = HttpSource(settings_for(web, max_bytes=1000))
    assert len(fetch(source, source.resolve(web.put("/fits", Page(b"x" * 1000, etag='"1"'))))[0]) == 1000
    with pytest.raises(TooLarge, match="max_bytes"):
        source.resolve(web.put("/big", Page(b"x" * 1001, etag='"1"')))
    assert web.asked("GET", "/big") == []
    bomb = gzip.compress(b"\0" * 100_000_000)
    for page in (
        Page(b"x" * 1001, etag='"1"', length=False),
        Page(b"", faults=[encoded("gzip", bomb)]),
    ):
        item = source.resolve(web.put("/big", page))
        received: list[bytes] = []
        with pytest.raises(TooLarge):
            source.download(item, source.revision(item), received.append)
        assert sum(map(len, received)) <= 1000


def test_connections_are_kept(web: WebServer, source: HttpSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_KEEP_ALIVE", 1e6)
    for number in range(5):
        fetch(source, source.resolve(web.put(f"/{number}", Page(b"x" * 100_000, etag='"1"'))))
    assert web.connections == 1


def test_the_environment_names_no_proxy(
    web: WebServer, source: HttpSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login amy password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    fetch(source, source.resolve(web.put("/a.csv", Page(b"1", etag='"1"'))))
    assert all("authorization" not in asked.headers for asked in web.requests)
