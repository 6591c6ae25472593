"""`HttpSource` when the server, the network or the content does what it should not.

Each test makes sure that its fault was used up, or that the connection it forbids would have
been noticed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256

import pytest
from source_contract import fetch
from web_faults import announce, chunked, cut, drip, drip_head, reset, stall, status, then
from web_server import Fault, Page, WebServer, web_server

from data_platform.errors import (
    AccessDenied,
    DataPlatformError,
    IncompleteDownload,
    SourceChanged,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    UnsupportedItem,
)
from data_platform.settings import HttpSettings, Settings
from readers.http import HttpSource

DATA = random.Random(0).randbytes(300_000)
PAST = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
SECRET = "?X-Amz-Date=1&X-Amz-Signature=hunter2"


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def source_for(web: WebServer, **http: object) -> HttpSource:
    return HttpSource(Settings(http=HttpSettings(trusted_hosts=(web.authority,), **http)))


@pytest.fixture
def source(web: WebServer) -> HttpSource:
    return source_for(web)


def broken(web: WebServer, *faults: Fault, **page: object) -> tuple[str, Page]:
    """Put a page with these faults, tagged unless said otherwise, and return a signed link to it."""
    put = Page(DATA, faults=list(faults), **({"etag": '"1"'} | page))  # type: ignore[arg-type]
    return web.put("/data.bin", put) + SECRET, put


def failing(source: HttpSource, link: str, page: Page, expected: type[DataPlatformError]) -> str:
    """Download, see it fail as expected and with all faults used up; return the message.

    The item is resolved by a source with patience, so that a busy machine changes nothing.
    """
    patient = HttpSource(Settings(http=HttpSettings(trusted_hosts=source.settings.http.trusted_hosts)))
    item = patient.resolve(link)
    revision = patient.revision(item)
    with pytest.raises(expected) as caught:
        source.download(item, revision, lambda piece: None)
    used_up(page)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def used_up(page: Page) -> None:
    """See that the server came to all of its faults, be it after the client gave up."""
    deadline = time.monotonic() + 60
    while page.faults and time.monotonic() < deadline:
        time.sleep(0.01)
    assert page.faults == []


# --- refusals

REFUSALS: list[tuple[int, type[DataPlatformError], type[Exception]]] = [
    (400, UnsupportedItem, OSError),
    (401, AccessDenied, PermissionError),
    (403, AccessDenied, PermissionError),
    (404, SourceNotFound, FileNotFoundError),
    (405, UnsupportedItem, OSError),
    (408, SourceTimeout, TimeoutError),
    (410, SourceNotFound, FileNotFoundError),
    (429, SourceUnavailable, ConnectionError),
    (451, AccessDenied, PermissionError),
    (500, SourceUnavailable, ConnectionError),
    (502, SourceUnavailable, ConnectionError),
    (503, SourceUnavailable, ConnectionError),
    (504, SourceUnavailable, ConnectionError),
    (202, SourceUnavailable, ConnectionError),
    (204, SourceNotFound, FileNotFoundError),
    (304, SourceUnavailable, ConnectionError),
    (599, SourceUnavailable, ConnectionError),
]


@pytest.mark.parametrize(("code", "expected", "built_in"), REFUSALS)
def test_each_status_has_its_error_on_resolving_and_on_downloading(
    web: WebServer, source: HttpSource, code: int, expected: type[DataPlatformError], built_in: type[Exception]
) -> None:
    assert issubclass(expected, built_in)
    link, page = broken(web, status(code))
    assert str(code) in failing(source, link, page, expected)
    page.status = code
    page.content = b""
    with pytest.raises(expected, match=str(code)):
        source.resolve(link)


def test_a_busy_server_is_asked_again_once_when_it_says(web: WebServer, source: HttpSource) -> None:
    soon = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    for code, when in ((503, "0"), (429, "1"), (503, soon), (202, "0")):
        link, page = broken(web, status(code, Retry_After=when))
        assert fetch(source, source.resolve(link))[0] == DATA
        assert page.faults == []
    link, page = broken(web, status(503, Retry_After="0"), status(503, Retry_After="0"))
    failing(source, link, page, SourceUnavailable)


def test_a_server_that_asks_for_long_patience_is_left_alone(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, status(429, Retry_After="3600"), status(500))
    item = source.resolve(link)
    with pytest.raises(SourceUnavailable, match="3600 s"):
        source.download(item, source.revision(item), lambda piece: None)
    assert len(page.faults) == 1


# --- cuts

CUTS: dict[str, Callable[[int], Fault]] = {"closed": cut, "reset": reset}


@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("validator", [{"etag": '"1"'}, {"etag": None, "modified": PAST}], ids=["tag", "stamp"])
def test_goes_on_after_up_to_three_cuts(
    web: WebServer, source: HttpSource, kind: str, validator: dict[str, object]
) -> None:
    make = CUTS[kind]
    link, page = broken(web, make(100_000), make(1), make(99_999), **validator)
    data, revision = fetch(source, source.resolve(link))
    assert data == DATA
    assert revision.size == len(DATA)
    assert page.faults == []
    asked = [each.headers.get("range") for each in web.asked("GET", "/data.bin")]
    assert asked[0] is None
    # A reset may take bytes with it that were on their way.
    assert kind == "reset" or asked == [None, "bytes=100000-", "bytes=100001-", "bytes=200000-"]


def test_goes_on_after_a_refusal_in_between(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, cut(100_000), status(503), cut(1000))
    assert fetch(source, source.resolve(link))[0] == DATA
    assert page.faults == []


def test_a_fourth_cut_is_one_too_many(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, *[cut(1000)] * 4)
    assert "broke off" in failing(source, link, page, IncompleteDownload)


@pytest.mark.parametrize("page_is", [{"etag": None}, {"etag": 'W/"1"'}], ids=["no validator", "weak validator"])
def test_without_a_strong_validator_a_cut_is_final(
    web: WebServer, source: HttpSource, page_is: dict[str, object]
) -> None:
    link, page = broken(web, cut(100_000), **page_is)
    failing(source, link, page, IncompleteDownload)


def test_a_server_without_ranges_starts_again_and_nothing_comes_twice(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, cut(100_000), cut(200_000), ranges=False)
    assert fetch(source, source.resolve(link))[0] == DATA
    assert page.faults == []


@pytest.mark.parametrize("ranges", [True, False])
def test_content_that_changes_between_two_answers_is_never_mixed(
    web: WebServer, source: HttpSource, ranges: bool
) -> None:
    def change(page: Page) -> None:
        page.content, page.etag = DATA[::-1], '"2"'

    link, page = broken(web, then(change, cut(100_000)), ranges=ranges)
    failing(source, link, page, SourceChanged)
    assert fetch(source, source.resolve(link))[0] == DATA[::-1]


def test_a_server_that_ignores_if_range_is_found_out(web: WebServer, source: HttpSource) -> None:
    def partial(handler: object, page: Page) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))  # type: ignore[attr-defined]
        total = len(page.content)
        headers = {"ETag": '"2"', "Content-Range": f"bytes {start}-{total - 1}/{total}"}
        handler.answer(206, page.content[start:], headers)  # type: ignore[attr-defined]

    link, page = broken(web, cut(100_000), partial)
    failing(source, link, page, SourceChanged)


@pytest.mark.parametrize(
    "content_range", ["bytes 0-199999/300000", "bytes 100001-299999/300000", "bytes 100000-299999/300001", "nonsense"]
)
def test_a_part_that_does_not_fit_is_refused(web: WebServer, source: HttpSource, content_range: str) -> None:
    def partial(handler: object, page: Page) -> None:
        handler.answer(206, b"x" * 200_000, {"Content-Range": content_range})  # type: ignore[attr-defined]

    link, page = broken(web, cut(100_000), partial)
    failing(source, link, page, SourceChanged)


def test_a_part_nobody_asked_for_is_refused(web: WebServer, source: HttpSource) -> None:
    def partial(handler: object, page: Page) -> None:
        handler.answer(206, b"x" * 10, {"Content-Range": "bytes 10-19/300000"})  # type: ignore[attr-defined]

    link, page = broken(web, partial)
    failing(source, link, page, IncompleteDownload)


def test_a_file_that_shrank_below_what_was_read_has_changed(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, cut(100_000), status(416))
    failing(source, link, page, SourceChanged)


# --- lengths


@pytest.mark.parametrize("by", [1, 1_000_000])
def test_fewer_bytes_than_announced(web: WebServer, source: HttpSource, by: int) -> None:
    link, page = broken(web, announce(len(DATA) + by), etag=None)
    failing(source, link, page, IncompleteDownload)


@pytest.mark.parametrize("length", [0, 1, 5000])
def test_more_bytes_than_announced(web: WebServer, source: HttpSource, length: int) -> None:
    """Bytes behind the end must neither be dropped in silence nor be taken for the next answer."""
    link, page = broken(web, announce(length))
    page.content = DATA[:10_000]
    assert "more than" in failing(source, link, page, IncompleteDownload)
    assert fetch(source, source.resolve(link))[0] == DATA[:10_000]


def test_chunks_that_never_end(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, chunked(complete=False), etag=None)
    failing(source, link, page, IncompleteDownload)


def test_an_answer_without_length_that_ends_too_early(web: WebServer, source: HttpSource) -> None:
    """Only the length that HEAD told gives it away."""

    def silent_cut(handler: object, page: Page) -> None:
        page.length = False
        cut(1000)(handler, page)  # type: ignore[arg-type]

    link, page = broken(web, silent_cut, etag=None)
    failing(source, link, page, IncompleteDownload)


# --- silence


@pytest.mark.parametrize("after", [None, 0, 1000], ids=["before the head", "after the head", "within the body"])
def test_a_server_that_falls_silent(web: WebServer, after: int | None) -> None:
    source = source_for(web, timeout_seconds=1.0)
    link, page = broken(web, stall(after))
    failing(source, link, page, SourceTimeout)


@pytest.mark.parametrize("fault", [drip, drip_head])
def test_a_server_that_dribbles_for_ever_meets_the_deadline(web: WebServer, fault: Fault) -> None:
    source = source_for(web, deadline_seconds=1.0)
    link, page = broken(web, fault)
    failing(source, link, page, SourceTimeout)


def test_resets_before_the_head(web: WebServer, source: HttpSource) -> None:
    link, page = broken(web, reset())
    assert fetch(source, source.resolve(link))[0] == DATA  # a kept connection may die: asked once more
    assert page.faults == []
    link, page = broken(web, reset(), reset())
    failing(source, link, page, SourceUnavailable)


def test_an_answer_that_is_no_http(web: WebServer, source: HttpSource) -> None:
    def banner(handler: object, page: Page) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")  # type: ignore[attr-defined]
        handler.hang_up()  # type: ignore[attr-defined]

    link, page = broken(web, banner, banner)
    failing(source, link, page, SourceUnavailable)


def test_nobody_listens() -> None:
    with web_server() as gone:
        source, link = source_for(gone), gone.url("/a.csv")
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        source.resolve(link)


def test_a_failed_download_leaves_the_source_usable(web: WebServer, source: HttpSource) -> None:
    for fault in (cut(10), status(500), chunked(complete=False), reset(10)):
        link, page = broken(web, fault, etag=None)
        failing(source, link, page, DataPlatformError)
        data, revision = fetch(source, source.resolve(link))
        assert data == DATA
        assert revision.token == f"sha256:{sha256(DATA).hexdigest()}"
