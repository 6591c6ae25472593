"""Retention: what may go goes after its quarantine, and nothing that is referenced, whoever stores what meanwhile."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from deliveries import hand_in, read_file, sha256, stored, work_off
from removal_victim import sweeping_beside
from s3_buckets import admin
from servers.processes import S3Server
from store_contract import content_of_size
from waiting import wait_until

from data_platform.cli import main
from data_platform.errors import ObjectLocked, RestrictionError, StoreUnavailable, VersionUnavailable
from data_platform.settings import load, settings
from populate.backup import removing as rounds
from populate.backup.check import check
from populate.backup.erasing import erase, unfinished
from populate.backup.rebuild import rebuild
from populate.backup.removal import RemovalClaim, RemovalDone
from populate.backup.removing import Round, removing
from populate.backup.restore import restore
from populate.backup.tables import Backup, BackupFailure, Placement, record_places
from populate.ingest import Ingest
from populate.retention import quarantine, strays
from populate.retention.keeping import add_rule, end_rule, hold, holds, release, rules
from populate.retention.retaining import Retained, retain
from populate.store import object_name_of, open_replica, open_store
from populate.store.clients import locked_until
from populate.store.pack import keep
from populate.work.retries import retry_failed, unresolved
from readers.cache import Cache
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileSet, FileSetMember, SourceSystem, Version
from schemas.identity import identity
from schemas.output import Output
from schemas.restrict import where
from schemas.sharing import AccessBatch

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs
NOW = datetime(2026, 6, 1)
LATER = timedelta(days=15)


def work() -> None:
    work_off(Ingest, Backup)


def states(binding: Binding, path: Path, number: int) -> list[bytes]:
    """Read a file in several states, a day after the other, each backed up before the next."""
    contents = [content_of_size(1000 + n, seed=n) + path.name.encode() for n in range(number)]
    for day, content in enumerate(contents):
        path.write_bytes(content)
        hand_in(binding, [read_file(path, day=day)], run=f"{path} {day}")
        work()
    return contents


def retained(binding: Binding, now: datetime = NOW, **options: Any) -> Retained:
    return retain(binding, open_store(load()), load(), now=now, **options)


def test_versions_go_after_their_quarantine_and_what_is_held_or_asked_for_stays(
    binding: Binding, tmp_path: Path
) -> None:
    old, *newer = states(binding, tmp_path / "a", 4)
    assert retained(binding) == Retained(open_store(load()).name)  # without a rule everything stays
    first = add_rule(binding, load(), "versions", 2)
    dry = retained(binding, dry_run=True)
    assert (dry.marked, dry.marked_bytes, dry.waiting, dry.swept) == (2, len(old) + len(newer[0]), 2, 0)
    assert (retained(binding).marked, retained(binding).marked) == (2, 0)
    assert set(stored().values()) == {old, *newer}
    case = hold(binding, load(), "case 17", below=str(tmp_path))
    done = retained(binding, NOW + LATER)
    assert (done.spared, done.swept) == (2, 0)
    release(binding, load(), case.number)
    assert retained(binding, NOW + LATER).waiting == 2  # anew: not for the whole time before
    hold(binding, load(), "case 18", sha256=sha256(old)[:12])
    done = retained(binding, NOW + 2 * LATER)
    assert (done.swept, done.swept_bytes, done.removed, done.spared) == (1, len(newer[0]), 1, 1)
    assert set(stored().values()) == {old, *newer[1:]}
    assert list(check(binding, open_store(load()), verify_data=True, unreferenced=True)) == []
    with pytest.raises(VersionUnavailable, match="retention"):
        restore(binding, open_store(load()), sha256(newer[0]), tmp_path / "back")
    for one in holds():
        release(binding, load(), one.number)
    end_rule(binding, load(), first.number)
    add_rule(binding, load(), "days", 10_000)
    assert retained(binding, NOW + 3 * LATER).marked == 0
    for rule in rules():
        end_rule(binding, load(), rule.number)
    add_rule(binding, load(), "days", 1)
    assert retained(binding, NOW + 3 * LATER).marked == 3
    path = tmp_path / "a"
    hand_in(binding, [read_file(path, day=100)], run="again")  # delivered and not ingested: it counts already
    done = retained(binding, NOW + 4 * LATER)
    assert done.swept == 2
    assert set(stored().values()) == {newer[-1]}


@on_postgresql
def test_wrong_rules_are_refused(binding: Binding) -> None:
    for keeps, amount in (("all", 1), ("versions", 0), ("days", -1)):
        with pytest.raises(RestrictionError):
            add_rule(binding, load(), keeps, amount)
    with pytest.raises(RestrictionError, match="reason"):
        hold(binding, load(), " ")
    with pytest.raises(VersionUnavailable, match="No rule 3"):
        end_rule(binding, load(), 3)
    assert (rules(), holds()) == ([], [])


def interfering(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something done once while a backup has looked and stored, and has not recorded anything yet."""
    compute, waiting = Backup.make_compute, [act]

    def interrupted(self: Backup, *arguments: Any) -> Any:
        computed = compute(self, *arguments)
        while waiting:
            waiting.pop()()
        return computed

    patch.setattr(Backup, "make_compute", interrupted)


def judged_before(patch: pytest.MonkeyPatch) -> None:
    """Have a sweep judge by what was known before anything referred to the contents: the worst that can happen."""
    patch.setattr(quarantine.Judge, "reasons", lambda self, hashes: dict.fromkeys(hashes, ""))


def sweep(binding: Binding) -> None:
    with pytest.MonkeyPatch.context() as patch:
        judged_before(patch)
        patch.setenv("DATA_PLATFORM_STORE__QUARANTINE_DAYS", "0")
        settings.cache_clear()
        retained(binding, datetime.now(UTC).replace(tzinfo=None))
    settings.cache_clear()


def claim_only(binding: Binding) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Round, "remove", lambda self, names: [])
        sweep(binding)


@pytest.mark.parametrize(("held", "act"), [("placed", sweep), ("stray", claim_only), ("packed", sweep)])
def test_a_backup_that_relied_on_what_went_meanwhile_stores_it_again(
    binding: Binding, tmp_path: Path, held: str, act: Callable[[Binding], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000" if held == "packed" else "0")
    settings.cache_clear()
    paths = [tmp_path / f"{held}{n}" for n in range(10 if held == "packed" else 2)]
    for n, path in enumerate(paths):
        path.write_bytes(content_of_size(500 + n, seed=n))
    contents = {sha256(path.read_bytes()): path.read_bytes() for path in paths}
    if held == "placed":
        hand_in(binding, [read_file(path) for path in paths], run="before")
        work()
        paths = [path.rename(path.with_suffix(".copy")) for path in paths]
    for group in [contents] if held == "packed" else [{one: contents[one]} for one in contents]:
        keep(open_store(load()), group)
    with monkeypatch.context() as patch:
        interfering(patch, lambda: act(binding))
        hand_in(binding, [read_file(path, day=1) for path in paths], run="during")
        work()
    assert len(RemovalClaim()) > 0
    assert len(BackupFailure()) == len(contents)  # nothing was recorded that is gone
    retained(binding, take_over=timedelta(0))
    assert len(RemovalClaim()) == len(RemovalDone())
    retry_failed(binding)
    work()
    assert set(stored().values()) == set(contents.values())


def a_set_of(member: str, system: str) -> None:
    """Enter a file set of another source that contains the present version of a file."""
    manifest = identity("manifest", member) * 2
    version = where(Version, sha256=member).to_dicts()[0]
    folder = {"file_id": identity("set", member), "version_id": identity("set version", member)}
    SourceSystem.insert1({"source_system": system, "source_kind": "file"}, skip_duplicates=True)
    File.insert1({"file_id": folder["file_id"], "source_system": system, "item_id": member})
    Blob.insert1({"sha256": manifest, "blob_size": 1})
    Version.insert1({**folder, "sha256": manifest, "revision": manifest})
    FileSet.insert1({"file_id": folder["file_id"]})
    path = {"path_id": identity("a"), "member_path": "a"}
    names = {"member_id": version["file_id"], "member_version": version["version_id"]}
    FileSetMember.insert1({**folder, **path, **names})


def an_output(content: str, file: str) -> None:
    names = ("event_id", "execution_id", "account_realm", "account_login", "account_id")
    told = dict.fromkeys(names, identity("output", content)) | {"batch_id": AccessBatch.to_dicts()[0]["batch_id"]}
    Output.insert1({**told, "written_at": NOW, "file_id": file, "sha256": content})


def test_whatever_refers_to_a_content_keeps_it(binding: Binding, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    contents = states(binding, tmp_path / "lab" / "a", 5)
    hashes = list(map(sha256, contents))
    system = where(File, file_id=where(Version, sha256=hashes[0]).to_dicts()[0]["file_id"]).to_dicts()[0]
    add_rule(binding, load(), "versions", 1, source=system["source_system"])
    a_set_of(hashes[0], "nfs/other")
    an_output(hashes[1], "")
    (tmp_path / "copy").write_bytes(contents[2])
    hand_in(binding, [read_file(tmp_path / "copy", day=9)], run="copy")
    Ingest.populate()  # and not backed up yet
    reasons = quarantine.Judge(binding, NOW).reasons(hashes)
    assert reasons[hashes[0]] == "no rule covers it"  # the set that has it
    assert reasons[hashes[1]] == "a run names it as its output"
    assert reasons[hashes[2]] == "a backup that brings it is not done"
    assert (reasons[hashes[3]], reasons[hashes[4]][:7]) == ("", "rule 1:")
    work()
    retained(binding)
    done = retained(binding, NOW + LATER)
    assert (done.swept, done.removed) == (1, 1)
    assert set(stored().values()) == {*contents} - {contents[3]}


@on_postgresql
def test_what_was_left_over_goes_and_packs_that_are_mostly_dead_are_written_anew(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000")
    settings.cache_clear()
    add_rule(binding, load(), "versions", 1)
    paths = [tmp_path / f"{n}" for n in range(12)]
    for day in range(2):
        for n, path in enumerate(paths[: 8 if day else 12]):
            path.write_bytes(content_of_size(1000, seed=100 * day + n))
        hand_in(binding, [read_file(path, day=day) for path in paths[: 8 if day else 12]], run=f"{day}")
        work()
    store = open_store(load())
    left = content_of_size(50, seed=999)
    keep(store, {sha256(left): left})
    first = retained(binding)
    assert (first.marked, first.strays, first.removed) == (8, 1, 0)
    done = retained(binding, NOW + LATER)
    assert (done.swept, done.strays, done.repacked, done.removed) == (8, 1, 1, 2)
    assert set(stored().values()) == {path.read_bytes() for path in paths}
    assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    monkeypatch.setattr(strays, "FEW", 0)
    Placement.delete_quick()  # the catalogue was lost
    for later in (2, 3):
        assert retained(binding, NOW + later * LATER).doubtful
    assert rebuild(binding, store).added == len(paths)
    assert not retained(binding, NOW + 4 * LATER).doubtful
    assert set(stored().values()) == {path.read_bytes() for path in paths}


def test_sweeps_beside_backups_take_nothing_that_is_wanted(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__QUARANTINE_DAYS", "0")
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000")
    settings.cache_clear()
    add_rule(binding, load(), "versions", 1)
    paths = [tmp_path / f"{n}" for n in range(10)]

    def back_up() -> None:
        for day in range(4):  # what was let go is wanted again on every second day
            for n, path in enumerate(paths):
                path.write_bytes(content_of_size(300 + n, seed=100 * (day % 2) + n))
            hand_in(binding, [read_file(path, day=day) for path in paths], run=f"{day}")
            wait_until(backed_up)  # what was swept while it was counted on is stored again, as long as it is there
        wait_until(lambda: len(RemovalClaim()))  # on a busy machine the other process has not swept yet

    def backed_up() -> bool:
        work()
        if failed := unresolved(binding):
            retry_failed(binding)
        return not failed

    assert sweeping_beside(back_up) == 0
    binding.ensure()
    wait_until(backed_up)
    for _ in range(2):
        retained(binding, datetime.now(UTC).replace(tzinfo=None), take_over=timedelta(0))
    wanted = {path.read_bytes() for path in paths}
    assert set(stored().values()) == wanted
    assert len(wanted) == len(Placement())


@on_postgresql
def test_a_round_that_is_too_late_removes_nothing(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = states(binding, tmp_path / "a", 1)[0]
    store, own = open_store(load()), object_name_of(sha256(content))
    with removing(binding, store, load()) as first:
        with first.behind_gate():
            assert first.claim([own]) == []  # a row leads there
        left = object_name_of(sha256(b"left over"))
        keep(store, {sha256(b"left over"): b"left over"})
        with first.behind_gate():
            assert first.claim([own, left]) == [left]
        with monkeypatch.context() as patch:
            patch.setattr(rounds, "VALID_SECONDS", -1.0)
            assert first.remove([left]) == []  # suspended for long: somebody else may have taken over
        with removing(binding, store, load()) as second:
            for act in (lambda: first.remove([left]), lambda: first.behind_gate().__enter__()):
                with pytest.raises(StoreUnavailable, match="at work"):
                    act()
            assert second.carry_on() == []  # too soon
            assert store.size(left) is not None
            assert second.carry_on(timedelta(0)) == [left]
            assert second.remove([own]) == []  # never claimed, and in use
    assert set(stored().values()) == {content}


@on_postgresql
def test_a_bucket_that_locks_objects(
    binding: Binding, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, client = locking_bucket(s3_server, monkeypatch)
    add_rule(binding, load(), "versions", 1)
    paths = [tmp_path / f"{n}" for n in range(12)]
    for day in range(2):
        for n, path in enumerate(paths[: 8 if day else 12]):
            path.write_bytes(content_of_size(1000, seed=100 * day + n))
        hand_in(binding, [read_file(path, day=day) for path in paths[: 8 if day else 12]], run=f"{day}")
        work()
    pack = str(where(Placement, sha256=sha256(paths[11].read_bytes())).fetch1("object_name"))

    lock_all(client, bucket, only=f"lab/{pack}")
    assert retained(binding).marked == 8
    done = retained(binding, NOW + LATER)
    assert (done.swept, done.repacked, done.locked, done.removed) == (8, 0, 1, 0)
    with pytest.raises(ObjectLocked, match="2099-01-01"):
        open_store(load()).remove(pack)
    assert {row["sha256"] for row in Placement.to_dicts()} == {sha256(path.read_bytes()) for path in paths}
    assert list(check(binding, open_store(load()), verify_data=True)) == []
    assert (retained(binding, NOW + 2 * LATER).locked, retained(binding, NOW + 3 * LATER).locked) == (0, 1)
    gone = paths[11].read_bytes()
    lock_all(client, bucket)
    with pytest.raises(ObjectLocked, match="order stays"):
        erase(binding, open_store(load()), load(), sha256(gone), "consent withdrawn")
    assert (retained(binding, NOW + 4 * LATER).locked > 0, len(unfinished())) == (True, 1)
    lock_all(client, bucket, datetime(2020, 1, 1))
    for later in (5, 6, 7):
        retained(binding, NOW + later * LATER)
    assert unfinished() == []
    assert set(stored().values()) == {path.read_bytes() for path in paths[:11]}
    kept = client.list_object_versions(Bucket=bucket)["Versions"]
    bodies = [client.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"] for one in kept]
    assert not [body for body in bodies if gone in body.read()]


def locking_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """Make a bucket that can lock objects, have it be the store, and return it and a client that may all."""
    bucket, client = f"retain-{secrets.token_hex(8)}", admin(s3_server)
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    keys = {"ACCESS_KEY": s3_server.access_key, "SECRET_KEY": s3_server.secret_key, "PACK_BYTES": "8000000"}
    for name, value in {"URL": f"s3://{bucket}/lab", "ENDPOINT": s3_server.endpoint, **keys}.items():
        monkeypatch.setenv(f"DATA_PLATFORM_STORE__{name}", value)
    settings.cache_clear()
    return bucket, client


@on_postgresql
def test_a_lock_keeps_what_is_erased_in_the_locked_object_only(
    binding: Binding, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, client = locking_bucket(s3_server, monkeypatch)
    monkeypatch.setenv("DATA_PLATFORM_STORE__REPLICA_URL", str(tmp_path / "replica"))
    settings.cache_clear()
    paths = [tmp_path / f"{n}" for n in range(12)]
    for n, path in enumerate(paths):
        path.write_bytes(content_of_size(1000, seed=n))
    hand_in(binding, [read_file(path) for path in paths])
    work()
    first, second = (path.read_bytes() for path in paths[:2])
    store, replica, limits = open_store(load()), open_replica(load()), load().cache
    assert replica is not None
    assert not record_places(replica.name, keep(replica, {sha256(first): first}), 0)
    cache = Cache(load().cache_folder, limits.max_bytes, limits.keep_seconds)
    with cache.receive() as incoming:
        incoming.write(first)
        incoming.commit()
    pack = str(where(Placement, sha256=sha256(second)).fetch1("object_name"))

    lock_all(client, bucket)
    with pytest.raises(ObjectLocked, match="order stays"):
        erase(binding, store, load(), sha256(first), "consent withdrawn")
    assert list(replica.objects()) == []
    assert cache.open(sha256(first)) is None
    for later in range(2):
        assert retained(binding, NOW + later * LATER).locked > 0
        assert with_bytes(client, bucket, first) == {f"lab/{pack}"}  # not written anew, to be locked for longer
    wrong = {status: {"ResponseMetadata": {"HTTPStatusCode": status}} for status in (400, 403, 500)}
    told = {status: ClientError(one, "DeleteObject") for status, one in wrong.items()}  # type: ignore[arg-type]
    until = {status: locked_until(client, bucket, f"lab/{pack}", error) for status, error in told.items()}
    assert until == {400: "2099-01-01", 403: "2099-01-01", 500: None}

    # What a killed round left is locked, too, and holds nothing of what is erased now.
    monkeypatch.setattr(Round.carry_on, "__defaults__", (timedelta(0),))
    left = object_name_of(sha256(b"left"))
    keep(store, {sha256(b"left"): b"left"})
    with removing(binding, store, load()) as round_, round_.behind_gate():
        assert round_.claim([left]) == [left]
    lock_all(client, bucket, only=f"lab/{left}")
    lock_all(client, bucket, datetime(2020, 1, 1), only=f"lab/{pack}")
    for content in (first, second):
        erase(binding, store, load(), sha256(content), "the lock is over")
        assert with_bytes(client, bucket, content) == set()
    assert unfinished() == []
    assert store.size(left) == 4


def with_bytes(client: Any, bucket: str, content: bytes) -> set[str]:
    """Return the keys of objects of which a version has some bytes."""
    kept = [(one["Key"], one["VersionId"]) for one in client.list_object_versions(Bucket=bucket)["Versions"]]
    return {
        key
        for key, version in kept
        if content in client.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()
    }


def lock_all(client: Any, bucket: str, until: datetime = datetime(2099, 1, 1), only: str = "") -> None:
    """Lock every version of every object, or of one, until a day, which may be over."""
    for one in client.list_object_versions(Bucket=bucket, Prefix=only)["Versions"]:
        client.put_object_retention(
            Bucket=bucket,
            Key=one["Key"],
            VersionId=one["VersionId"],
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
            BypassGovernanceRetention=True,
        )


def said(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


@on_postgresql
def test_the_commands(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(tmp_path / "store"))
    settings.cache_clear()
    contents = states(binding, tmp_path / "a", 2)
    assert "Everything is kept" in said("retention")
    assert said("add-rule", "versions", "1") == "rule 1: the latest 1 versions, files of any kind\n"
    assert "1 contents of 1.0 kB would be marked" in said("retain", "--dry-run")
    (done,) = json.loads(said("retain", "--json"))
    assert (done["marked"], done["waiting_bytes"], done["swept"]) == (1, len(contents[0]), 0)
    assert said("hold", "--reason", "case 17", "--sha256", sha256(contents[0])[:12]).startswith("hold 1: content")
    assert "1 were spared" in said("retain")
    assert [one["reason"] for one in json.loads(said("retention", "--json"))["holds"]] == ["case 17"]
    refused = CliRunner().invoke(main, ["erase", sha256(contents[0]), "--reason", "x", "--yes"])
    assert refused.exit_code == 1
    assert "Hold 1 keeps" in refused.output
    said("release", "1")
    said("end-rule", "1")
    assert "Everything is kept" in said("retention")
    assert "gone from 1 objects" in said("erase", sha256(contents[0]), "--reason", "x", "--yes")
