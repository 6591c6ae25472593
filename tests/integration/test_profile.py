"""The worker finds profiles, hostile files cost their own only, and nobody sees one who may not know the bytes."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from pathlib import Path

from deliveries import hand_in, read_file
from small_company import NOW, asking
from test_forms_limited import HOSTILE

from data_platform.settings import load
from populate.backup.erased import Erasure
from populate.backup.erasing import erase
from populate.backup.tables import Backup
from populate.duplicates.forms.limited import Limits
from populate.ingest import Ingest
from populate.page.reply import Difference, Differences
from populate.profile.reply import ContentSaid, Profiles
from populate.profile.tables import ColumnProfile, ContentProfile, Profile, SheetProfile
from populate.profile.view import profile_of
from populate.search.describing import Tables
from populate.store import open_store
from schemas.binding import Binding

MIB = 1024**2
TABLE = b"well,signal\nA1,1.5\nA1,\nB2,3\n"

# Of these something can be told: one of them says more rows than anybody would look at.
TOLD = {
    "many rows": "table",
    "odd workbook": "archive",
    "zip in zip": "table",
    "zip in zip in zip": "archive",
    "open quote": "text",
    "odd OLE": "bytes",
    "HDF5 that links": "bytes",
    "deep JSON": "text",
    "nothing": "bytes",
    "many files": "none",
    "entities": "document",
}


SENTINEL = Path(tempfile.gettempdir()) / f"unpickled {os.getpid()}"


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(SENTINEL), "w")


def said(profiles: Profiles, content: bytes) -> ContentSaid:
    return profiles.profile_of(hashlib.sha256(content).hexdigest(), len(content), [content])


def test_a_hostile_file_costs_its_own_profile_only(tmp_path: Path) -> None:
    with Profiles(Limits(64 * MIB, 512 * MIB, 60), tmp_path) as profiles:
        found = {name: said(profiles, make()) for name, (make, _, _) in HOSTILE.items()}
        assert {name: one.kind for name, one in found.items()} == dict.fromkeys(HOSTILE, "none") | TOLD
        assert all(one.why for one in found.values() if one.kind == "none")
        assert found["many rows"].sheets[0].rows == 30_000_000
        # Opaque on purpose: the library that reads it follows links to any file of the machine.
        assert found["HDF5 that links"].why == "its format is not opened, or it is too large"
        for protocol in (0, 5):  # an old one is text
            assert said(profiles, pickle.dumps(Bomb(), protocol)).kind in ("text", "bytes")
        assert said(profiles, TABLE).sheets[0].rows == 3
        assert said(profiles, b"x" * (64 * MIB + 1)).why == f"larger than {64 * MIB} bytes: not opened"
    assert list(tmp_path.iterdir()) == []
    assert not SENTINEL.exists()


def test_a_hostile_version_costs_its_own_difference_only(tmp_path: Path) -> None:
    def ask(differences: Differences, *contents: bytes) -> Difference:
        hashes = [hashlib.sha256(content).hexdigest() for content in contents]
        return differences.between(hashes, [len(content) for content in contents], contents)

    with Differences(Limits(64 * MIB, 512 * MIB, 60), tmp_path) as differences:
        for name in ("cut zip", "deep JSON", "odd Parquet"):
            found = ask(differences, HOSTILE[name][0](), TABLE)
            assert found.kind == "opaque" or name == "deep JSON"
        assert ask(differences, TABLE, TABLE + b"B3,1\n").kind == "table"
    assert list(tmp_path.iterdir()) == []


def test_a_worker_finds_profiles_that_those_see_who_may_know_the_bytes(binding: Binding, tmp_path: Path) -> None:
    (tmp_path / "plate.csv").write_bytes(TABLE)
    (tmp_path / "copy.csv").write_bytes(TABLE)
    (tmp_path / "raw.bin").write_bytes(bytes(range(256)))
    paths = [tmp_path / name for name in ("plate.csv", "raw.bin", "copy.csv")]
    hand_in(binding, [read_file(path) for path in paths])
    for computed in (Ingest(), Backup(), Profile()):
        computed.populate()
    assert (Profile.fetch1("profile_count"), len(ContentProfile())) == (2, 2)

    table, raw = (hashlib.sha256(path.read_bytes()).hexdigest() for path in paths[:2])
    amy, eve = asking(binding, "amy"), asking(binding, "eve")
    found = profile_of(amy, table)
    assert found is not None
    (sheet,) = found.sheets
    assert (found.kind, sheet.rows, sheet.width, sheet.first) == (
        "table",
        3,
        2,
        (("A1", "1.5"), ("A1", ""), ("B2", "3")),
    )
    well, signal = sheet.columns
    assert (well.name, well.values, well.distinct) == ("well", (("A1", 2), ("B2", 1)), 2)
    assert (signal.kind, signal.missing, signal.least, signal.greatest) == ("number", 1, "1.5", "3")
    opaque = profile_of(amy, raw)
    assert opaque is not None
    assert (opaque.kind, opaque.sheets) == ("bytes", ())
    assert opaque.reason
    assert profile_of(eve, table) is profile_of(amy, "f" * 64) is None

    # What the store does not give back has no profile; what is erased has none any more.
    columns = Tables(binding.connection)
    assert len(columns.ask("columns", contents=(table,))) == 2
    Erasure.insert1({"sha256": table, "erased_at": NOW, "erased_by": "amy", "erase_reason": "consent withdrawn"})
    assert columns.ask("columns", contents=(table,)) == []  # nor is anything found by it, whatever stores do
    assert profile_of(amy, table) is None
    erase(binding, open_store(load()), load(), table, "consent withdrawn")
    assert profile_of(amy, table) is None
    assert (len(ContentProfile()), len(SheetProfile()), len(ColumnProfile())) == (1, 0, 0)
