"""What links, items and errors of Microsoft 365 say, from their text alone."""

from __future__ import annotations

import base64
import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.microsoft365.samples import samples

from data_platform.errors import (
    AccessDenied,
    IncompleteDownload,
    ResyncRequired,
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    UnknownSource,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.redact import redact_text, redact_url
from data_platform.settings import load
from readers.microsoft365 import items
from readers.microsoft365.applications import Answer
from readers.microsoft365.brake import Brake, brake
from readers.microsoft365.challenge import claims_of
from readers.microsoft365.exchange import Reply
from readers.microsoft365.graph import Graph, Page, told_to_wait
from readers.microsoft365.links import SharedLink, understands
from readers.microsoft365.opening import refuse_way_up
from readers.microsoft365.quickxor import QuickXor
from readers.microsoft365.refusal import Refusal
from readers.registry import source_for

HOST = "https://contoso.sharepoint.com"
PLATE = "/sites/Lab/Shared Documents/plate 1.xlsx"


@pytest.mark.parametrize(
    ("url", "token"),
    [
        (
            "https://onedrive.live.com/redir?resid=1231244193912!12&authKey=1201919!12921!1",
            "u!aHR0cHM6Ly9vbmVkcml2ZS5saXZlLmNvbS9yZWRpcj9yZXNpZD0xMjMxMjQ0MTkzOTEyITEyJmF1dGhLZXk9MTIwMTkxOSExMjkyMSEx",
        ),
        (
            f"{HOST}/:x:/r/sites/Lab/Shared%20Documents/plate%201.xlsx?d=w123&csf=1&web=1&e=AbC",
            "u!aHR0cHM6Ly9jb250b3NvLnNoYXJlcG9pbnQuY29tLzp4Oi9yL3NpdGVzL0xhYi9TaGFyZWQlMjBEb2N1bWVudHMvcGxhdGUl"
            "MjAxLnhsc3g_ZD13MTIzJmNzZj0xJndlYj0xJmU9QWJD",
        ),
    ],
)
def test_links_are_given_as_graph_wants_them(url: str, token: str) -> None:
    assert SharedLink.parse(url).token == token


@pytest.mark.parametrize(
    ("url", "path", "site"),
    [
        (f"{HOST}/sites/Lab/Shared%20Documents/plate%201.xlsx", PLATE, "/sites/Lab"),
        (f"{HOST}/:x:/r/sites/Lab/Shared%20Documents/plate%201.xlsx?csf=1&web=1&e=AbC", PLATE, "/sites/Lab"),
        (f"{HOST}/:x:/s/Lab/EabcDEF123?e=AbC", "", ""),
        (f"{HOST}/:f:/t/design/a577ghg9hgh", "", ""),
        (f"{HOST}/sites/Lab/_layouts/15/Doc.aspx?sourcedoc=%7B1-2%7D&file=a.xlsx&action=default", "", ""),
        (f"{HOST}/sites/Lab/_layouts/15/download.aspx?SourceUrl=%2Fsites%2FLab%2FDocs%2Fa.csv", "/sites/Lab/Docs/a.csv",
         "/sites/Lab"),
        (f"{HOST}/teams/Lab/Docs/Forms/AllItems.aspx?RootFolder=%2Fteams%2FLab%2FDocs%2Fx", "/teams/Lab/Docs/x",
         "/teams/Lab"),
        (f"{HOST}/sites/Lab/Docs/Forms/AllItems.aspx", "/sites/Lab/Docs", "/sites/Lab"),
        (f"{HOST}/Shared%20Documents/a.csv", "/Shared Documents/a.csv", ""),
        ("https://contoso-my.sharepoint.com/personal/amy_contoso_com/_layouts/15/onedrive.aspx?id=%2Fpersonal%2F"
         "amy_contoso_com%2FDocuments%2Fx", "/personal/amy_contoso_com/Documents/x", "/personal/amy_contoso_com"),
        ("https://contoso-my.sharepoint.com/:x:/g/personal/amy_contoso_com/EtIw?e=sD", "", ""),
        ("https://1drv.ms/x/s!AbC", "", ""),
        (f"https://teams.microsoft.com/l/file/1?objectUrl={HOST.replace('/', '%2F')}%2Fsites%2FLab%2FDocs%2Fa.csv&x=1",
         "/sites/Lab/Docs/a.csv", "/sites/Lab"),
    ],
)  # fmt: skip
def test_links_tell_their_path_or_hide_it(url: str, path: str, site: str) -> None:
    assert understands(url)
    link = SharedLink.parse(url)
    assert (link.path, link.site_path) == (path, site)
    assert source_for(url, load()).kind == "microsoft365"


def test_a_personal_link_tells_its_item() -> None:
    link = SharedLink.parse("https://onedrive.live.com/?cid=5D33DD65C6932946&id=5D33DD65C6932946%21859&authkey=%21AK")
    assert link.personal == ("5D33DD65C6932946", "5D33DD65C6932946!859")
    assert SharedLink.parse("https://onedrive.live.com/?id=../../x").personal == ("", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://contoso.sharepoint.com.example.org/a",
        "https://user@contoso.sharepoint.com/a",
        "https://teams.microsoft.com/l/meetup-join/x",
        "https://teams.microsoft.com/#objecturl=",
        "https://example.org/sharepoint.com",
        "contoso.sharepoint.com/a",
        "s3://contoso.sharepoint.com/a",
    ],
)
def test_other_links_are_left_to_others(url: str) -> None:
    assert not understands(url)


@pytest.mark.parametrize("rest", ["?objecturl=", "?xobjecturl=x", "?objecturl=#x", "#objecturl="])
def test_a_link_of_teams_without_a_file_is_none(rest: str) -> None:
    with pytest.raises(UnknownSource, match="Copy link"):
        SharedLink.parse(f"https://teams.microsoft.com/l/file/1{rest}")


@pytest.mark.parametrize("path", ["/sites/Lab/../x", "/sites/Lab/Docs/%2e%2e/x", "/..", "/sites/Lab/.", "/a%5c..%5cb"])
def test_a_path_that_leads_up_again_is_refused(path: str) -> None:
    with pytest.raises(UnsafeLink, match="Copy link"):
        refuse_way_up(SharedLink.parse(f"{HOST}{path}"))
    refuse_way_up(SharedLink.parse(f"{HOST}/sites/Lab/Docs/a..b/...csv"))


def test_what_is_shown_opens_nothing() -> None:
    secret = "Canary1"
    shown = (
        SharedLink.parse(f"{HOST}/:x:/s/Lab/{secret}"),
        Answer(200, secret, {"location": secret}),
        Reply(200, {"location": secret}, secret.encode()),
        Page([{"x": secret}], secret, secret),
    )
    assert secret not in repr(shown)
    graph = Graph(load(), lambda renew: "")
    for url in (
        f"/drives/d/root/delta(token='{secret}')",
        f"/d/delta%28token%3D'{secret}')/x",
        f"/shares/u!{secret}/x",
    ):
        assert secret not in graph._where(url)
    assert graph._where("/drives/d/root/delta") == "Microsoft 365 (/drives/d/root/delta)"


def test_which_version_is_meant() -> None:
    assert SharedLink.parse(f"{HOST}{PLATE}#version=3.0").version == "3.0"
    assert SharedLink.parse(f"{HOST}{PLATE}#as-of=2026-05-01T12:00%2B02:00").as_of == datetime(2026, 5, 1, 10)
    assert SharedLink.parse(f"{HOST}{PLATE}#page=3").version == ""


@pytest.mark.parametrize("place", [f"{HOST}/:x:/s/Lab/", "https://contoso-my.sharepoint.com/:f:/g/personal/amy/",
                                   f"{HOST}/:t:/g/", "https://1drv.ms/x/", "https://contoso.SharePoint.com/:x:/g/",
                                   "https://contoso.sharepoint.com:443/:x:/s/Lab/", f"{HOST}/%3Ax%3A/g/",
                                   "https://onedrive.live.com/:x:/g/personal/amy/"])  # fmt: skip
def test_what_opens_a_file_is_not_kept(place: str) -> None:
    one, other = (redact_url(f"{place}{token}?e=4Q2f") for token in ("EtIwCanary_1-x", "s!EtIwCanary_2"))
    assert one != other
    assert one.startswith(f"{place}link-")
    assert "Canary" not in one + other
    assert redact_url(one) == one
    assert "Canary" not in redact_text(f"GET {place}EtIwCanary_1-x failed")


@pytest.mark.parametrize(
    "url",
    [f"{HOST}/:x:/r/sites/Lab/Docs/a.csv?d=w1", f"{HOST}/sites/Lab/Docs/a.csv", "https://example.org/:x:/s/Lab/abc"],
)
def test_paths_are_kept(url: str) -> None:
    assert redact_url(url) == url


# --- checksums


def test_the_checksum_agrees_with_the_published_vectors() -> None:
    vectors = json.loads(samples_folder("hash-vectors/quickxorhash.json"))
    assert len(vectors) == 70
    for vector in vectors:
        data = base64.b64decode(vector["data_base64"])
        for step in (1, 7, 159, 160, 161, 4096):
            assert quick_xor(data, step) == vector["quickXorHash"]


def samples_folder(name: str) -> str:
    return (Path(__file__).parents[1] / "data" / "microsoft365" / "samples" / name).read_text()


def quick_xor(data: bytes, step: int) -> str:
    found = QuickXor()
    for start in range(0, len(data), step):
        found.update(data[start : start + step])
    return found.base64()


@given(st.lists(st.integers(1, 50_000), max_size=6), st.integers(0, 9))
@settings(max_examples=20)
def test_pieces_of_any_length_make_the_same_checksum(lengths: list[int], seed: int) -> None:
    data = random.Random(seed).randbytes(sum(lengths) + 65_537)
    found, start = QuickXor(), 0
    for length in [*lengths, len(data)]:
        found.update(data[start : start + length])
        start += length
    assert found.base64() == plainly(data)


def plainly(data: bytes) -> str:
    """Return the checksum as its definition says, byte by byte."""
    ring = 0
    for position, byte in enumerate(data):
        shift = 11 * position % 160
        ring ^= (byte << shift | byte << shift >> 160) & (1 << 160) - 1
    return base64.b64encode((ring ^ len(data) << 96).to_bytes(20, "little")).decode()


# --- items


def test_every_item_that_the_vendor_prints() -> None:
    seen = 0
    for sample in samples().values():
        if not (sample.name.startswith("graph/") and sample.name.endswith(".json")):
            continue
        body = json.loads(sample.content)
        for told in [body, *(body.get("value") or [] if isinstance(body.get("value"), list) else [])]:
            assert len(items.revision(told).token) > 0
            assert items.host(told)
            assert isinstance(items.path(told), str)
            items.login(told.get("createdBy"), "t")
            items.refuse_unreadable(told)
            assert isinstance(items.is_folder(told), bool)
            seen += 1
    assert seen > 30


def test_what_a_root_folder_says() -> None:
    told = json.loads(samples()["graph/driveitem_root_folder.json"].content)
    assert items.is_folder(told)
    assert items.revision(told).token == '"c:{86EB4C8E-D20D-46B9-AD41-23B8868DDA8A},0"'
    owner = items.login(told["createdBy"], "tenant")
    assert owner is not None
    assert (owner.realm, owner.name, owner.shown) == (
        "entra/tenant",
        "efee1b77-fb3b-4f65-99d6-274c11914d12",
        "Ryan Gregg",
    )
    assert items.host(told) == "contoso-my.sharepoint.com"


def test_a_shortcut_tells_where_it_leads() -> None:
    entry = json.loads(samples()["graph/sharedwithme.json"].content)["value"][0]
    assert items.remote(entry) == ("1991210caf", "1991210caf!192")
    assert items.remote({"remoteItem": {"id": "x"}}) is None


@pytest.mark.parametrize(
    "identities",
    [None, {}, "x", {"application": {"id": "1"}}, {"user": {"displayName": "System Account"}}, {"user": {"id": None}}],
)
def test_who_is_nobody_is_no_owner(identities: object) -> None:
    assert items.login(identities, "t") is None


def test_paths_are_decoded() -> None:
    told = {"name": "a.csv", "parentReference": {"path": "/drives/b!1/root:/Data%20100%25/%C2%B5"}}
    assert items.path(told) == "Data 100%/µ/a.csv"
    assert items.path({"name": "x", "webUrl": f"{HOST}/sites/L/Docs/a%20b/x"}) == "sites/L/Docs/a b/x"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12)),
        ("2018-01-09T21:20:02.7215374Z", datetime(2018, 1, 9, 21, 20, 2, 721537)),
        ("2026-05-01T12:00:00.5+02:00", datetime(2026, 5, 1, 10, 0, 0, 500000)),
        ("2016-05-04T12:00:00", datetime(2016, 5, 4, 12)),
        ("soon", None),
        ("", None),
    ],
)
def test_times_of_any_precision(text: str, moment: datetime | None) -> None:
    assert items.moment(text) == moment


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "name", "user", "driveId", "path", "parentReference", "file", "hashes", "size", "folder", "remoteItem"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NAMES = st.sampled_from(
    ["id", "name", "webUrl", "size", "cTag", "eTag", "parentReference", "createdBy", "file", "folder", "root",
     "remoteItem", "package", "deleted", "malware", "lastModifiedDateTime"]
)  # fmt: skip


@given(st.dictionaries(NAMES, ODD))
def test_nothing_that_is_odd_or_missing_is_an_error_of_ours(told: dict[str, Any]) -> None:
    assert 0 < len(items.revision(told).token) <= items.MAX_TOKEN
    items.path(told)
    items.host(told)
    items.identity(told)
    items.remote(told)
    items.is_folder(told)
    items.source_hash(told)
    items.login(told.get("createdBy"), "t")


# --- errors


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, {"error": {"code": "accessDenied", "innerError": {"code": "malwareDetected"}}}, UnsafeLink),
        (403, {"error": {"code": "accessDenied", "message": "itemNotFound"}}, AccessDenied),
        (404, {"error": {"code": "UnheardOf"}}, SourceNotFound),
        (400, {"error": {"code": "invalidRequest", "innererror": {"code": "unheardOf"}}}, UnsupportedItem),
        (400, {"error": {"code": "BadRequest", "innererror": {"code": "resyncRequired"}}}, ResyncRequired),
        (410, {}, ResyncRequired),
        (416, {"error": {"code": "invalidRange"}}, IncompleteDownload),
        (423, {"error": {"code": "notAllowed", "innerError": {"code": "resourceLocked"}}}, SourceUnavailable),
        (509, {"error": "bandwidth"}, SourceUnavailable),
        (500, None, SourceUnavailable),
        (401, {"error": {"code": "AF10001"}}, AccessDenied),
        (418, [1], UnsupportedItem),
    ],
)
def test_errors_are_told_by_their_innermost_code(status: int, body: object, error: type[SourceError]) -> None:
    made = Refusal.of(status, body, {"request-id": "r-1"}).error("Microsoft 365 (/x)")
    assert type(made) is error or (status == 401 and isinstance(made, error))
    assert "request r-1" in str(made)
    assert str(made).endswith(".")


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "2.128"}, 2.128),
        (503, {"retry-after": "3", "ratelimit-reset": "17"}, 17.0),
        (200, {"ratelimit-remaining": "0", "ratelimit-reset": "9"}, 9.0),
        (200, {"ratelimit-remaining": "120", "ratelimit-reset": "9"}, None),
        (200, {"retry-after": "5"}, None),
        (404, {}, None),
    ],
)
def test_how_long_to_wait(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert told_to_wait(status, headers) == seconds


def test_claims_are_read_from_a_challenge() -> None:
    claims = base64.urlsafe_b64encode(b'{"access_token": {}}').decode().rstrip("=")
    assert claims_of(f'Bearer realm="", error="insufficient_claims", claims="{claims}"') == '{"access_token": {}}'
    assert claims_of('Bearer claims="%%%"') == claims_of('Bearer realm=""') == claims_of("") == ""


# --- the brake


def test_a_brake_holds_for_every_process_and_never_shorter(tmp_path: Path) -> None:
    one, other = Brake(tmp_path / "new" / "brake"), Brake(tmp_path / "new" / "brake")
    assert one.left == other.left == 0
    one.hold(500)
    other.hold(5)
    assert one.left > 400 < other.left
    with pytest.raises(SourceUnavailable, match="wait another"):
        other.wait(1)


def test_a_brake_that_cannot_be_noted_holds_here(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    alone = Brake(tmp_path / "file" / "brake")
    alone.hold(500)
    assert alone.left > 400


@pytest.mark.parametrize("content", [b"", b"odd", b"\xff" * 8, b"\0" * 8])
def test_a_damaged_brake_stops_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "brake").write_bytes(content)
    found = Brake(tmp_path / "brake")
    found.wait(1)
    found.hold(500)
    assert Brake(tmp_path / "brake").left > 400


def test_each_application_has_its_own(tmp_path: Path) -> None:
    one, other = (load(home=tmp_path, microsoft365={"tenant": "t", "client_id": client}) for client in ("a-1", "a-2"))
    brake(one).hold(500)
    assert brake(other).left == 0
    brake(other).wait(0)
