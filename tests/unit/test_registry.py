"""Which source reads a link, and how a company's own source comes in."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_platform.errors import MissingExtra, SettingsError, UnknownSource
from data_platform.settings import Settings, load
from readers import registry
from readers.file import FileSource
from readers.registry import kinds, source_class, source_for, source_of_kind

LIMS = """
from readers.source import Item, Revision, Source

class LimsSource(Source):
    kind = "lims"

    @classmethod
    def understands(cls, url):
        return url.startswith(("lims:", "https://lims.example.org/"))

    def resolve(self, url):
        return Item("lims/example", url, "x", "x", url)

    def revision(self, item):
        return Revision("1")

    def download(self, item, revision, sink):
        sink(b"1")
        return revision
"""
Install = Callable[..., str]


def forget() -> None:
    for cached in (registry._added, registry._loadable, source_class):
        cached.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with a module and an entry point, as pip would; return the module's name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def install(kind: str, code: str = LIMS, class_name: str = "LimsSource") -> str:
        module = f"acme_{kind.replace('-', '_')}_{len(made)}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[data_platform.readers]\n{kind} = {module}:{class_name}\n")
        made.append(module)
        forget()
        return module

    yield install
    for module in made:
        sys.modules.pop(module, None)
    forget()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("/data/a.csv", "file"),
        ("a.csv", "file"),
        ("../a b.csv", "file"),
        ("~/a.csv", "file"),
        ("", "file"),
        ("run_10:30.csv", "file"),
        ("C:\\data\\x.csv", "file"),
        ("/data/https://x", "file"),
        ("file:///data/a.csv", "file"),
        ("FILE:///data/a.csv", "file"),
        ("http://data.example.org/a.csv", "http"),
        ("HTTPS://data.example.org/a.csv", "http"),
    ],
)
def test_built_in_sources_are_picked_by_the_link(link: str, kind: str, settings: Settings) -> None:
    assert source_for(link, settings).kind == kind


@pytest.mark.parametrize("link", ["ftp://host/a.csv", "gopher://host/a", "javascript://x", "data://host/x"])
def test_an_unknown_scheme_names_what_is_known(link: str, settings: Settings) -> None:
    with pytest.raises(UnknownSource, match=r"file, http, microsoft365, s3.*Check the link") as caught:
        source_for(link, settings)
    assert isinstance(caught.value, ValueError)


def test_the_error_keeps_secrets_of_the_link(settings: Settings) -> None:
    with pytest.raises(UnknownSource) as caught:
        source_for("ftp://amy:hunter2@host/a.csv?token=abc123", settings)
    assert "hunter2" not in str(caught.value)
    assert "abc123" not in str(caught.value)


def test_an_unknown_kind_names_what_there_is(settings: Settings) -> None:
    with pytest.raises(UnknownSource, match="file, http, microsoft365, s3"):
        source_for("/a.csv", settings, kind="lmis")


def test_a_company_adds_its_own_source(install: Install, settings: Settings) -> None:
    install("lims")
    assert kinds() == ["file", "http", "lims", "microsoft365", "s3"]
    assert source_for("lims:S-1", settings).kind == "lims"
    assert source_for("https://lims.example.org/S-1", settings).kind == "lims"  # before the general one for web links
    assert source_for("https://data.example.org/S-1", settings).kind == "http"
    assert source_for("anything", settings, kind="lims").kind == "lims"
    assert source_of_kind("lims", settings).settings is settings


def test_nothing_is_imported_before_a_link_asks_for_it(install: Install, settings: Settings) -> None:
    module = install("lims")
    kinds()
    source_for("/data/a.csv", settings)
    source_for("file:///data/a.csv", settings)
    assert module not in sys.modules
    source_for("https://data.example.org/", settings)
    assert module in sys.modules


def test_no_package_replaces_a_built_in_source(
    install: Install, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    module = install("file", LIMS.replace('"lims"', '"file"'))
    with caplog.at_level(logging.WARNING):
        assert type(source_for("/a.csv", settings)) is FileSource
        assert type(source_of_kind("file", settings)) is FileSource
        kinds()
    assert f"{module}:LimsSource tries to replace the built-in reader 'file'" in caplog.text


def test_two_packages_under_one_name_are_refused_not_chosen(install: Install, settings: Settings) -> None:
    first, second = install("lims"), install("lims")
    with pytest.raises(SettingsError, match=f"{first}:LimsSource, {second}:LimsSource"):
        source_of_kind("lims", settings)
    assert source_for("https://lims.example.org/S-1", settings).kind == "http"


@pytest.mark.parametrize(
    ("code", "class_name", "error", "message"),
    [
        ("import no_such_package", "LimsSource", MissingExtra, "no_such_package"),
        ("1 / 0", "LimsSource", SettingsError, "ZeroDivisionError"),
        ("", "LimsSource", SettingsError, "not a Source"),
        ("LimsSource = dict", "LimsSource", SettingsError, "not a Source"),
        (LIMS.replace('"lims"', '"other"'), "LimsSource", SettingsError, "calls itself 'other'"),
    ],
)
def test_a_broken_source_is_told_by_name_and_harms_no_other(
    install: Install,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    code: str,
    class_name: str,
    error: type[Exception],
    message: str,
) -> None:
    install("lims", code, class_name)
    with pytest.raises(error, match=message):
        source_of_kind("lims", settings)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert source_for("https://lims.example.org/S-1", settings).kind == "http"
    assert caplog.text.count("The reader 'lims' is left out") == 1


def test_a_missing_extra_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "readers.s3", None)  # as if importing it failed
    forget()
    with pytest.raises(MissingExtra, match=r"pip install 'data-platform\[s3\]'") as caught:
        source_for("s3://bucket/key", settings)
    assert isinstance(caught.value, ImportError)
    forget()


def test_sources_are_kept_for_their_settings(settings: Settings, tmp_path: Path) -> None:
    kept = source_of_kind("file", settings)
    assert source_of_kind("file", settings) is kept
    other = load(home=tmp_path / "other")
    assert source_of_kind("file", other).settings is other
    assert source_of_kind("file", settings).settings is settings
