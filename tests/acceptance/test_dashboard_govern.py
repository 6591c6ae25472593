"""The pages of managers, stewards and engineers, and the entry form: on a catalogue that real reads have made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from colleagues import Colleagues
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.catalogue import catalogue
from data_platform.errors import SourceError
from data_platform.settings import settings
from populate.adoption.tables import Adoption
from populate.backup.tables import Placement
from populate.retention.keeping import hold
from populate.silo import SiloMetric
from populate.snapshot import take_snapshot
from schemas.binding import Binding
from schemas.entered import Entry
from schemas.people import Department

pytestmark = pytest.mark.timeout(900)  # on a busy machine
PAGES = Path(dashboard.__file__).with_name("pages")
PATIENCE = 120  # seconds
NAMES = ("adoption", "silos", "duplicates", "hygiene", "audit", "backups", "retention", "erasures", "operate", "enter")
EVIL = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)>.csv"


@pytest.fixture
def backend() -> str:
    """What the pages ask of the database is tested on both; here pages show it on one."""
    return "postgresql"


@pytest.fixture(autouse=True)
def _forgotten(binding: Binding) -> Iterator[None]:
    import streamlit as st

    catalogue.clear()
    st.cache_data.clear()
    yield
    catalogue.clear()
    st.cache_data.clear()


def opened(page: str, **address: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=PATIENCE)
    for name, value in address.items():
        app.query_params[name] = value
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    assert not app.error, app.error
    return app


def said(app: AppTest) -> str:
    parts = (*app.title, *app.subheader, *app.text, *app.caption, *app.info, *app.warning, *app.success, *app.markdown)
    return "\n".join(str(part.value) for part in parts)


def test_an_empty_catalogue_says_on_each_page_what_to_do() -> None:
    told = {name: said(opened(name)) for name in NAMES}
    assert "come with the first snapshot" in told["adoption"]
    assert "come with the first snapshot" in told["silos"]
    assert "No two files" in told["duplicates"]
    assert "No file is open to anybody" in told["hygiene"]
    assert "Nothing was read that fits" in told["audit"]
    assert "Nothing is backed up yet" in told["backups"]
    assert "Everything is kept; nothing waits to go" in told["retention"]
    assert "Nothing was ever erased" in told["erasures"]
    assert "No worker is at work" in told["operate"]
    assert "Nothing was entered yet" in told["enter"]


def test_what_real_reads_leave_is_shown_on_each_page(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = Colleagues(tmp_path / "shares", monkeypatch)
    people.put(f"maria/{EVIL.replace('/', '∕')}", b"first")
    people.put("chen/copy.csv", b"first")
    people.read("aiko", f"maria/{EVIL.replace('/', '∕')}")
    people.read("aiko", "chen/copy.csv")
    with pytest.raises(SourceError):
        people.read("aiko", "chen/gone.csv")
    people.work()
    take_snapshot(binding)
    for table in (SiloMetric, Adoption):
        table.populate()

    assert "Fewer than five people" in said(opened("adoption", drawn="Bytes"))  # three people are not told of
    for view in ("Matrix", "Map", "Trend", "Departments"):
        assert "working ties" in said(opened("silos", view=view))
    copies = opened("duplicates")
    assert "2 files hold only 1 contents" in said(copies)
    assert set(copies.dataframe[0].value["file_name"]) == {EVIL.replace("/", "∕"), "copy.csv"}
    trail = opened("audit", outcome="failed")
    (gone,) = trail.dataframe[0].value["file_name"]
    assert gone.endswith("chen/gone.csv")  # never found, so it has no name but the link
    assert len(opened("audit", who="aiko").dataframe[0].value) == 3
    assert f"{len(Placement())} contents are kept" in said(opened("backups"))
    hold(binding, settings(), "case 17", below=str(tmp_path))
    assert list(opened("retention", which="Holds").dataframe[0].value["reason"]) == ["case 17"]
    for view in ("In quarantine", "What became of it"):
        assert "1 hold would outlast any rule" in said(opened("retention", which=view))
    for view in ("Queues", "Sources", "Storage"):
        opened("operate", view=view)


def test_a_row_is_entered_and_refused_in_sentences() -> None:
    table = f"{Department.database}.department"
    app = opened("enter", table=table)
    app.text_input[0].set_value("Chemistry")
    app.button[0].click()
    checked(app.run())
    assert list(Department.to_arrays("department")) == ["Chemistry"]
    assert len(Entry()) == 1
    assert "The row was added" in said(app)
    app.text_input[0].set_value("Chemistry")
    app.button[0].click()
    app.run()
    assert not app.exception
    assert app.error[0].value == "Not added."
    assert "a row with this key" in said(app)
