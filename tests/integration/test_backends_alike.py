"""What differs between PostgreSQL and MySQL does not show: the same rows, errors and order on both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from deliveries import hand_in, item, read
from servers.mysql import MySQLServer
from servers.sessions import end_session, session_of

from dashboard.queries import files as queries
from data_platform.errors import DatabaseUnavailable
from data_platform.settings import load
from populate.ingest import BackupMember, Ingest
from schemas.binding import Binding, bind, unbind
from schemas.catalogue import File, FileName
from schemas.engine import dj
from schemas.people import Department
from schemas.restrict import where
from schemas.sharing import Access

# Each differs from its neighbour only in what a collation may take for nothing.
TEXTS = (
    "plate",
    "Plate",
    "pläte",
    "pla\u0308te",
    "plate ",
    " plate",
    "plate\x01",
    "ﬁle",
    "file",
    "ß",
    "ss",
    "😀",
    "😁",
    "",
)


def ingested(binding: Binding, paths: list[str], **options: Any) -> list[dict[str, Any]]:
    """Return the names of the files that stand in the catalogue after each was read once."""
    hand_in(binding, [read(item(path), data=path.encode(), **options) for path in paths])
    Ingest.populate()
    return list(FileName.to_dicts())


def test_texts_that_look_alike_are_different(binding: Binding) -> None:
    Department.insert({"department": text} for text in TEXTS)
    for text in TEXTS:
        assert where(Department, department=text).to_dicts() == [{"department": text}]
    with pytest.raises(dj.errors.DuplicateError):
        Department.insert1({"department": "Plate"})


def test_texts_have_one_order(binding: Binding) -> None:
    Department.insert({"department": text} for text in ("b", "B", "a", "A", "ä", "_", "1", "é", "z", "Z"))
    assert list(Department.to_arrays("department", order_by="department")) == sorted("bBaAä_1ézZ")


def test_files_whose_names_differ_by_case_or_accent_are_files_of_their_own(binding: Binding) -> None:
    paths = [f"/data/{text}.csv" for text in TEXTS if text.isprintable()]
    found = ingested(binding, paths)
    assert sorted(row["file_path"] for row in found) == sorted(paths)
    assert len(File()) == len(paths)


def test_a_search_pays_no_heed_to_case(binding: Binding) -> None:
    ingested(binding, ["/data/Plate.csv", "/data/PLATE.txt", "/data/other.csv"])
    assert sorted(queries.files(binding, search="pLaTe")["file_name"]) == ["PLATE.txt", "Plate.csv"]


def test_long_paths_stay_whole_and_apart(binding: Binding) -> None:
    deep = "/" + "/".join(["ordner mit ä und 😀"] * 200)
    paths = [f"{deep}/{name}"[:4000] for name in ("a.csv", "b.csv")] + [f"{deep[:3990]}/{n}.csv" for n in range(3)]
    found = ingested(binding, paths)
    assert sorted(row["file_path"] for row in found) == sorted(set(paths))
    for path in set(paths):
        assert where(File, item_id=path).to_arrays("item_id").tolist() == [path]


def test_times_are_utc_to_the_microsecond_whatever_the_server_is_set_to(binding: Binding) -> None:
    (hand,) = binding.connection.query(
        "SELECT current_setting('TimeZone')" if binding.backend == "postgresql" else "SELECT @@session.time_zone"
    ).fetchone()
    assert hand in ("UTC", "+00:00")
    moments = [
        dt.datetime(2026, 3, 29, 2, 30, 0, 1),
        dt.datetime(1970, 1, 1),
        dt.datetime(2999, 12, 31, 23, 59, 59, 999999),
    ]
    records = [read(item(f"/{n}.csv")) | {"accessed_at": moment.isoformat()} for n, moment in enumerate(moments)]
    hand_in(binding, records)
    assert sorted(Access.to_arrays("accessed_at").tolist()) == sorted(moments)
    for moment in moments:
        east = moment.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=5, minutes=45)))
        assert len(where(Access, accessed_at=east)) == 1


def test_a_big_delivery_is_one_batch(binding: Binding) -> None:
    count = 2500
    hand_in(binding, [read(item(f"/data/{n:05}.csv"), data=b"%d" % n) for n in range(count)])
    Ingest.populate()
    assert len(Access()) == len(File()) == len(BackupMember()) == count


def test_a_connection_that_was_lost_comes_back(binding: Binding) -> None:
    end_session(binding.settings, session_of(binding))
    assert not binding.connection.is_connected
    binding.ensure()
    assert binding.connection.is_connected
    end_session(binding.settings, session_of(binding))
    Department.insert1({"department": "kept"})
    assert len(Department()) == 1


def test_a_connection_that_is_lost_in_a_transaction_undoes_it_and_is_told(binding: Binding) -> None:
    def work() -> None:
        with binding.transaction():
            Department.insert1({"department": "lost"})
            end_session(binding.settings, session_of(binding))
            Department.insert1({"department": "lost too"})

    with pytest.raises(DatabaseUnavailable, match="Repeat"):
        work()
    assert len(Department()) == 0


# --- TLS to MySQL; that to PostgreSQL is in test_database_tls.py


@pytest.fixture
def secured(mysql: MySQLServer, tmp_path: Path) -> Iterator[Authority]:
    """A server whose certificate an authority of our own signed for its address."""
    authority = Authority(tmp_path)
    authority.server_side(mysql.host)
    (tmp_path / "certificate.pem").write_bytes((tmp_path / f"{mysql.host}.pem").read_bytes())
    before = [mysql.execute(f"SELECT @@{name}")[0][0] for name in ("ssl_ca", "ssl_cert", "ssl_key")]
    own = [authority.path, tmp_path / "certificate.pem", tmp_path / "certificate.pem"]
    _use(mysql, [str(path) for path in own])
    yield authority
    _use(mysql, before)


def _use(mysql: MySQLServer, files: list[str]) -> None:
    values = dict(zip(("ssl_ca", "ssl_cert", "ssl_key"), files, strict=True))
    mysql.execute(*(f"SET GLOBAL {name} = '{file}'" for name, file in values.items()), "ALTER INSTANCE RELOAD TLS")


def _bind(mysql: MySQLServer, home: Path, authority: Path | None) -> Binding:
    account = {"user": mysql.user, "password": mysql.password}
    where_to = {"backend": "mysql", "host": mysql.host, "port": mysql.port, **account, "tls_ca": authority}
    return bind(load(home=home, database=where_to), schemas=())


def test_mysql_with_the_right_certificate_is_spoken_to_in_secret(
    mysql: MySQLServer, secured: Authority, home: Path
) -> None:
    binding = _bind(mysql, home, secured.path)
    (_, cipher) = binding.connection.query("SHOW SESSION STATUS LIKE 'Ssl_version'").fetchone()
    assert cipher == "TLSv1.3"
    unbind()
    binding = _bind(mysql, home, None)  # on loopback
    assert binding.connection.query("SHOW SESSION STATUS LIKE 'Ssl_version'").fetchone()[1] == ""


def test_the_certificate_that_mysql_made_for_itself_is_refused(mysql: MySQLServer, home: Path, tmp_path: Path) -> None:
    """It names no host, so even who trusts its authority does not know whom he speaks to."""
    for authority in (Authority(tmp_path).path, mysql.folder / "data" / "ca.pem"):
        with pytest.raises(DatabaseUnavailable, match=r"(?i)certificate"):
            _bind(mysql, home, authority)
