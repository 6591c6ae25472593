"""Which engine searches is a setting that has to fit the catalogue's database."""

from __future__ import annotations

import pytest

from data_platform.errors import SettingsError
from data_platform.settings import load


def test_the_catalogues_server_keeps_the_index_only_if_it_is_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().search.engine == "tantivy"
    assert load(database={"backend": "mysql"}).search.engine == "tantivy"
    for backend in ("embedded", "postgresql"):
        assert load(database={"backend": backend}, search={"engine": "postgresql"}).search.engine == "postgresql"
    monkeypatch.setenv("DATA_PLATFORM_SEARCH__ENGINE", "postgresql")
    with pytest.raises(SettingsError, match=r"catalogue is on MySQL.*Set search\.engine to tantivy"):
        load(database={"backend": "mysql"})
