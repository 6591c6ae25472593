"""Each role on each backend: what it can do, and that it can do nothing else."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest
from conversing import KEY, PLATES, copies, person_id
from deliveries import hand_in, item, read
from pydantic import SecretStr
from readers_at_work import an_access, delivered
from servers.mail import mail_server
from servers.mysql import MySQLServer
from servers.sessions import another_session
from servers.sites import Site, hire, mysql_site, postgresql_site

from dashboard.catalogue import Catalogue
from dashboard.entering import enter, entering
from dashboard.queries import files as queries
from data_platform.errors import DatabaseError, DatabaseOutdated
from data_platform.settings import DashboardSettings, MailSettings, QuestionSettings
from populate.adopt.share import adopt
from populate.backup.check import Problem, verified
from populate.backup.held import held
from populate.backup.tables import Backup, Placement
from populate.backup.verification import look_again, open_damages, record
from populate.conversation.answering import answer
from populate.conversation.asking import ask_due
from populate.conversation.links import Link, token_of
from populate.conversation.questions import Question, question_id
from populate.directory.request import Request, sync_people
from populate.ingest import Ingest
from populate.pipeline import SCHEMAS, bind_all
from populate.retention.entering import enter_decisions
from populate.retention.keeping import add_rule, end_rule, hold, release
from populate.retention.retaining import retain
from populate.retention.tables import LegalHold, LegalHoldNoted
from populate.roles import ROLES, deploy_roles
from populate.sharing.drives import lookup_all
from populate.sharing.notices import Lifecycle, note, note_lifecycle
from populate.snapshot import Snapshot, take_snapshot
from populate.store import object_name_of, open_store
from populate.store.folder import FolderStore
from populate.store.pack import FEW, keep
from populate.watch.status import try_again
from populate.work.lease import living, scheduler_lease
from populate.work.queue import Queue
from populate.work.scheduler import Keeper
from populate.work.worker import run_worker
from readers.backlog import Noted
from readers.delivery import deliver
from readers.freshness import file_of, load, mark_of
from readers.run import run_record
from readers.watching import look, watch
from schemas.binding import Binding, bind, unbind
from schemas.catalogue import SourceSystem, Version
from schemas.code import RunCode
from schemas.conversation import Answer
from schemas.engine import dj
from schemas.following import ChangeNotice, ChangeSubscriptionEvent, FollowedDrive
from schemas.identity import account_id, identity
from schemas.people import Account, Department, Person
from schemas.recall import Recall, RecallMark
from schemas.restrict import where
from schemas.sharing import Access

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
INBOX = {"access_batch", "access_run", "access", "output", "run_code"}
PEOPLE = {"department", "person", "account", "account_name", "membership", "departure", "mail_address"}
MENDED = {"person", "account"}  # a worker changes some of their columns, the last one among these
INGESTED = {
    *PEOPLE,
    *("source_system", "file", "file_name", "file_owner", "file_gone", "blob", "version"),
    *("file_set", "file_set_member", "execution", "share_edge"),
    *("permission", "permission_ended", "share_event", "source_log", "source_read"),
}
CORE = {"people", "catalogue", "sharing", "conversation"}
TOLD = {
    *("answer", "ask", "ask_outcome", "person_ask_choice"),
    *("hours_saved", "survey_choice", "report_subscription", "report_subscription_ended"),
    *("file_tag", "file_tag_ended", "note", "note_ended", "saved_search", "saved_search_ended"),
    *("collection", "collection_title", "collection_file", "collection_file_ended", "collection_ended"),
    *("subscription", "subscription_known", "subscription_ended"),
    *("recall", "recall_mark", "recall_ended", "recall_acknowledged"),
}
WRITTEN = {"releases", "asking", "entered", "survey", "notes", "recall", "removal", "retention"}
ENTERED = {
    *(TOLD | {"entry", "survey_asked", "department", "membership", "departure", "mail_address"}),
    *("#silo_parameter", "backup_batch", "backup_member", "verification_batch"),
}
DECIDED = {"company_ask_choice", "person_ask_choice"}
REPEATED = {"content_profile", "sheet_profile", "column_profile", "content_facts", "generated"}
REQUESTED = {
    *("backup_batch", "backup_member", "snapshot"),
    *("snapshot_batch", "snapshot_adopt", "snapshot_survey", "snapshot_log"),
    *("snapshot_forms", "snapshot_forms_adopted", "snapshot_staff", "snapshot_stint", "snapshot_login"),
}
FOUND = {"verification_batch", "verification", "damage", "damage_mended", "erasure"}
REMOVED = {
    *("removal", "removal_claim", "removal_done", "quarantine", "quarantine_end", "stray", "stray_end"),
    *("retention_rule", "retention_rule_ended", "legal_hold", "legal_hold_ended"),
    *("retention_rule_noted", "retention_rule_end_noted", "legal_hold_noted", "legal_hold_end_noted"),
}
NOTICED = {
    ("releases", "release"): {"SELECT"},
    ("following", "followed_drive"): {"SELECT"},
    ("following", "change_notice"): {"SELECT", "INSERT"},
    ("following", "change_subscription_event"): {"SELECT", "INSERT"},
}
REFUSALS = {1044, 1142, 1143, 1227}


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with deployed tables, and a login of each role."""
    folder = tmp_path_factory.mktemp("site")
    mysql: MySQLServer | None = request.getfixturevalue("mysql") if request.param == "mysql" else None
    with mysql_site(mysql, folder) if mysql else postgresql_site(folder) as made:
        deploy_roles(bind_all(made.settings(), deploy=True))
        unbind()
        for role in ROLES:
            hire(made, role, mysql)
        hire(made, "worker", mysql, "worker_2")
        yield made
        unbind()


@pytest.fixture(autouse=True)
def _released(home: Path) -> None:
    """Release the binding after each test, as the fixture `home` does."""


def tables(site: Site) -> list[tuple[str, str, list[str]]]:
    """Return schema, name and columns of every table that the server holds of ours."""
    columns = {}
    for schema, table, column in site.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns ORDER BY ordinal_position"
    ):
        if schema.startswith(f"{site.prefix}_"):
            columns.setdefault((schema, table), []).append(column)
    return [(*key, names) for key, names in sorted(columns.items())]


def expected(role: str, schema: str, table: str) -> set[str]:
    """Return the verbs that a role may use on a table; the names are those of the database."""
    name, data = table.lstrip("_"), table[0] not in "#~"
    if role == "reader":
        if schema == "recall" and table in {"recall_mark", "recall_ended"}:
            return {"SELECT"}
        return {"INSERT"} if schema in ("sharing", "output", "code") and table in INBOX else set()
    if role == "answers":
        return {"INSERT"} if schema in {"conversation", *WRITTEN} and table in TOLD else set()
    if role == "notices":
        return NOTICED.get((schema, table), set())
    verbs = {"SELECT"}
    if role == "worker" and table.startswith("~~"):
        return set(VERBS)
    if role in ("steward", "entries") and table.startswith("~~"):
        return {"SELECT", "UPDATE"}
    if role == "entries":
        return {"SELECT", "INSERT"} if table in ENTERED else {"SELECT"}
    if role == "worker" and data and (schema not in CORE | WRITTEN or table in INGESTED | INBOX):
        verbs.add("INSERT")
    if role == "worker" and ((schema == "people" and table in MENDED) or (schema, table) == ("backup", "placement")):
        verbs.add("UPDATE")
    if role == "steward" and (schema, table) == ("backup", "placement"):
        return set(VERBS)
    if role == "steward" and table in REPEATED:
        return {"SELECT", "DELETE"}
    if role == "steward" and (schema, table) == ("backup", "content_store"):
        return {"SELECT", "INSERT", "UPDATE"}
    if role == "steward" and (table in PEOPLE or (schema == "directory" and data)):
        return set(VERBS)
    if role == "steward" and (name in REQUESTED | DECIDED | FOUND | REMOVED or table == "#silo_parameter"):
        verbs.add("INSERT")
    return verbs


def attempt(cursor: Any, statement: str) -> bool:
    """Tell whether the server lets the login do this; any other error is an error."""
    try:
        cursor.execute(statement)
    except psycopg2.errors.InsufficientPrivilege:
        return False
    except pymysql.err.MySQLError as error:
        if error.args[0] in REFUSALS:
            return False
        raise
    return True


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_its_verbs_on_each_table_and_no_others(site: Site, role: str) -> None:
    quote = "`" if site.backend == "mysql" else '"'
    found, wanted = {}, {}
    with site.connect(role) as connection, connection.cursor() as cursor:
        for schema, table, columns in tables(site):
            name = f"{quote}{schema}{quote}.{quote}{table}{quote}"
            names = [f"{quote}{column}{quote}" for column in columns]
            nulls = ["NULL"] * len(names)
            nothing = "FROM (SELECT 1 AS one) AS x WHERE 1 = 0"
            statements = {
                "SELECT": f"SELECT {names[0]} FROM {name} WHERE 1 = 0",
                "INSERT": f"INSERT INTO {name} ({', '.join(names)}) SELECT {', '.join(nulls)} {nothing}",
                "UPDATE": f"UPDATE {name} SET {names[-1]} = NULL WHERE 1 = 0",
                "DELETE": f"DELETE FROM {name} WHERE 1 = 0",
            }
            key = (schema.removeprefix(f"{site.prefix}_"), table)
            found[key] = {verb for verb, statement in statements.items() if attempt(cursor, statement)}
            wanted[key] = expected(role, *key)
            if site.backend == "mysql" and role == "worker" and len(columns) == 1 and "INSERT" in wanted[key]:
                wanted[key].add("UPDATE")  # of a key: see populate.roles
    assert len(found) > 40
    assert {key[0] for key in found} == {name for name, _ in SCHEMAS}
    assert found == wanted


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_change_what_tables_there_are(site: Site, role: str) -> None:
    schema, name = f"{site.prefix}_sharing", f"{site.prefix}_sharing.access"
    with site.connect(role) as connection, connection.cursor() as cursor:
        for statement in (
            f"TRUNCATE TABLE {name}",
            f"DROP TABLE {name}",
            f"ALTER TABLE {name} ADD x int",
            f"CREATE TABLE {schema}.evil (x int)",
            f"CREATE INDEX evil ON {name} (event_id)",
            f"GRANT SELECT ON {name} TO {site.prefix}_reader",
            f"DROP ROLE {site.prefix}_reader",
        ):
            allowed = attempt(cursor, statement)
            # PostgreSQL warns of a grant that grants nothing, the matrix shows that it did not.
            assert not allowed or (site.backend == "postgresql" and statement.startswith("GRANT")), statement


def refuse(event: Noted, reason: str) -> None:
    raise AssertionError(f"{event} was set aside because {reason}")


def test_a_reader_delivers_and_sees_and_changes_nothing(site: Site) -> None:
    records = [an_access(n) for n in range(5)]
    run = json.dumps(run_record() | {"entry_point": __file__}).encode()
    events = [Noted("0-1-a.segment", 64 + n, json.dumps(record).encode(), run) for n, record in enumerate(records)]
    binding = bind(site.settings("reader"))
    assert deliver(binding, events[:3], refuse) == 3
    assert deliver(binding, events, refuse) == 2  # what was delivered is refused by its key, without being read
    for act in (
        lambda: Access.to_dicts(),
        lambda: Access().delete_quick(),
        lambda: Person.insert1({"person_id": "0" * 32, "full_name": "x", "person_kind": "person"}),
    ):
        with pytest.raises(dj.DataJointError):  # it does not even see what there is
            act()
    unbind()
    bind_all(site.settings("worker"))
    assert {str(record["event_id"]) for record in records} <= set(delivered())
    assert "Each role on each backend" in RunCode.to_arrays("code_title")[0]


def test_a_reader_learns_that_bytes_it_has_met_are_recalled_but_not_why(site: Site) -> None:
    data = b"recalled " * 20
    record = read(item("/recalled.csv", "carla"), data=data)
    binding = bind_all(site.settings())
    hand_in(binding, [record], run="of what is recalled")
    Ingest.populate()
    sha256, now = hashlib.sha256(data).hexdigest(), datetime.now(UTC).replace(tzinfo=None)
    file, version = where(Version, sha256=sha256).fetch1("file_id", "version_id")
    key, owner = {"recall_id": "7" * 32}, account_id("acme", "carla")
    row = {"file_id": file, "version_id": version, "recaller_id": owner, "recalled_at": now, "recall_reason": "secret"}
    Recall.insert1({**key, **row})
    RecallMark.insert1({**key, "mark_id": mark_of(sha256), "marked_at": now})
    unbind()
    mine = site.settings("reader")
    watch(mine, [Noted("0-1-a.segment", 64, json.dumps(record).encode(), b"{}")])
    look(mine, bind(mine))
    (stale,) = load(file_of(mine.home))[sha256]
    assert stale.kind == "recalled"
    assert "secret" not in stale.reason


def test_a_worker_works_off_what_was_delivered_and_deletes_nothing(site: Site, tmp_path: Path) -> None:
    binding = bind_all(site.settings("worker"))
    for turn in range(2):  # the second time most rows are there already
        hand_in(binding, [read(item(f"/{name}.csv"), data=name.encode()) for name in "ab"], run=str(turn))
    assert run_worker(site.settings("worker"), once=True).failed_jobs == 0
    assert len(Ingest()) >= 2
    assert not Backup.jobs
    for table in (Backup, Ingest, Access):
        with pytest.raises(dj.errors.AccessError):
            table().delete_quick()


def test_a_worker_adopts_a_share(site: Site, tmp_path: Path) -> None:
    for name in ("plate 1.csv", "plate 2.csv"):
        (tmp_path / name).write_bytes(name.encode())
    assert adopt(tmp_path, settings=site.settings("worker")).taken == 2
    (tmp_path / "plate 1.csv").unlink()
    again = adopt(tmp_path, settings=site.settings("worker"))
    assert (again.found.known, again.found.gone, again.taken, again.failed) == (1, 1, 0, 0)


def test_a_worker_s_login_is_enough_for_a_scheduler_and_a_steward_has_failed_jobs_tried_again(site: Site) -> None:
    binding = bind_all(site.settings("worker"))
    hand_in(binding, [read(item("/scheduled.csv"))], run="of a scheduler")
    lease = scheduler_lease(binding, idle_seconds=60)
    assert lease.take()
    taken = len(Snapshot())
    take_snapshot(binding)
    keeper = Keeper(binding, snapshots=True)
    keeper.tend()
    assert keeper.failure is None
    assert len(Snapshot()) > taken
    assert len(Ingest.jobs) >= 1
    assert living(binding).schedulers == 1
    fail = f"UPDATE {Ingest.jobs.full_table_name} SET status = 'error', completed_time = CURRENT_TIMESTAMP"
    binding.connection.query(fail)
    lease.give()
    unbind()
    steward = bind_all(site.settings("steward"))
    assert try_again(steward)["jobs"] >= 1
    unbind()
    bind_all(site.settings("worker"))
    assert run_worker(site.settings("worker"), once=True).failed_jobs == 0
    assert not Ingest.jobs


def test_workers_with_logins_of_their_own_tell_the_living_from_the_dead(site: Site) -> None:
    binding = bind_all(site.settings("worker"))
    hand_in(binding, [read(item("/mine.csv"))], run="of two logins")
    queue = Queue(Ingest())
    assert queue.refresh() == 1
    other = another_session(site.settings("worker_2"))
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET status = 'reserved', connection_id = %s,"
        " reserved_time = CURRENT_TIMESTAMP",
        (binding.connection.adapter.get_connection_id(other),),
    )
    queue.clean()
    assert len(queue.table.jobs.reserved) == 1
    other.close()
    deadline = time.monotonic() + 120
    while len(queue.table.jobs.reserved):
        assert time.monotonic() < deadline, "the job is not freed"
        queue.clean()
    assert queue.run(1) == 1


def test_the_dashboard_shows_and_writes_nothing(site: Site) -> None:
    binding = bind_all(site.settings("dashboard"))
    assert set(queries.headline(binding)) >= {"people", "files"}
    assert len(queries.files(binding)) == queries.count_files(binding)
    with pytest.raises(dj.errors.AccessError):
        Department.insert1({"department": "Chemistry"})


def test_what_people_enter_at_the_dashboard_is_added_by_another_login_than_shows_it(site: Site) -> None:
    login = site.settings("entries").database
    unset = site.settings("dashboard")
    entries = DashboardSettings(user=login.user, password=login.password)
    wrong = DashboardSettings(user=login.user, password=SecretStr("wrong"))
    known = Catalogue(bind_all(unset.model_copy(update={"dashboard": entries})))

    def hire_in(binding: Binding, department: str) -> str:
        Department.insert1({"department": department})
        return str(known.ask(session_login))  # a question within the block goes the same way

    assert enter(known, hire_in, f"Chemistry of {site.backend}").startswith(login.user)
    assert known.ask(session_login).startswith(unset.database.user)
    assert f"Chemistry of {site.backend}" in Department.to_arrays("department")
    with pytest.raises(DatabaseError, match=r"dashboard\.user"), entering(known):
        Account.insert1({"account_id": "0" * 32, "realm": "x", "login": "x", "person_id": "0" * 32})
    with pytest.raises(dj.errors.AccessError):
        Department.insert1({"department": "Physics"})
    again = Catalogue(known.ask(lambda binding: binding))  # opened anew, as after an error, while others ask yet
    with ThreadPoolExecutor(1) as others:
        with entering(known):
            waits = others.submit(again.ask, session_login)
            with pytest.raises(TimeoutError):  # it would ask by the login that enters
                waits.result(timeout=0.5)
        assert waits.result().startswith(unset.database.user)
    with pytest.raises(ZeroDivisionError), entering(known):
        raise ZeroDivisionError  # what goes wrong otherwise is told as it is, and the own login is back
    assert known.ask(session_login).startswith(unset.database.user)
    unbind()
    known = Catalogue(bind_all(unset.model_copy(update={"dashboard": wrong})))
    if site.backend == "mysql":  # PostgreSQL's test server trusts its own machine
        with pytest.raises(DatabaseError, match=r"dashboard\.user"), entering(known):
            pytest.fail("a login with a wrong password got in")
    assert known.ask(session_login).startswith(unset.database.user)


def session_login(binding: Binding) -> str:
    name = "CURRENT_USER()" if binding.backend == "mysql" else "CURRENT_USER"
    return str(binding.connection.query(f"SELECT {name}").fetchone()[0])


def test_a_worker_asks_about_duplicates(site: Site) -> None:
    binding = bind_all(site.settings("worker"))
    copies(binding, "brendan", "carla", data=b"other plates", name="other.csv")
    with mail_server() as post:
        mail = MailSettings(
            host=post.host, port=post.port, security="none", sender="x@example.org", domains=("example.org",)
        )
        questions = QuestionSettings(url="https://catalogue.example.org", key=SecretStr(KEY), min_bytes=1)
        settings = site.settings("worker").model_copy(update={"mail": mail, "questions": questions})
        done = ask_due(binding, settings)
        assert ("carla@example.org", "sent") in [(one.address, one.state) for one in done.mails]
        assert ask_due(binding, settings).mails == []
        assert len(post.received) == len(done.mails)


def test_answers_are_added_by_a_login_that_may_only_add_what_people_tell(site: Site) -> None:
    binding = bind_all(site.settings("worker"))
    copies(binding, "brendan", "amy")
    amy, sha256 = person_id("amy"), hashlib.sha256(PLATES).hexdigest()
    question, now = question_id(amy, sha256), datetime.now(UTC).replace(tzinfo=None)
    Question.insert1({"question_id": question, "person_id": amy, "sha256": sha256, "raised_at": now})
    with pytest.raises(dj.errors.AccessError):
        Answer.insert1({"answer_id": "0" * 32, "question_id": question, "answer": "keep", "answered_at": now,
                        "answered_by": "python"})  # fmt: skip
    unbind()
    token = token_of(Link(question, amy, now + timedelta(days=1)), KEY.encode())
    own = site.settings("dashboard").model_copy(update={"questions": QuestionSettings(key=KEY)})
    binding = bind_all(own)
    with pytest.raises(DatabaseError, match=r"questions\.user"):
        answer(binding, own, token, "keep")
    login = site.settings("answers").database
    other = QuestionSettings(key=KEY, user=login.user, password=login.password)
    assert answer(binding, own.model_copy(update={"questions": other}), token, "keep").answer == "keep"
    assert [row["answer"] for row in Answer().to_dicts()] == ["keep"]


def test_notices_are_written_down_by_a_login_that_sees_no_more_than_which_drives_are_followed(site: Site) -> None:
    bind_all(site.settings("worker"))
    drive, now = "5" * 32, datetime.now(UTC).replace(tzinfo=None)
    SourceSystem.insert1({"source_system": "microsoft365/x", "source_kind": "microsoft365"}, skip_duplicates=True)
    row = {"drive_key": drive, "source_system": "microsoft365/x", "source_drive": "x", "followed_since": now}
    FollowedDrive.insert1({**row, "drive_owner_realm": "", "drive_owner_login": ""}, skip_duplicates=True)
    unbind()
    bind_all(site.settings("notices"))
    assert lookup_all(FollowedDrive, "drive_key") == [(drive,)]
    for _ in range(2):  # what is there already is skipped
        note([drive], now)
        note_lifecycle([Lifecycle(drive, "6" * 32, "missed")], now)
    assert (len(ChangeNotice()), len(ChangeSubscriptionEvent())) == (1, 1)
    for table, column in ((FollowedDrive, "drive_owner_login"), (Person, "full_name"), (Access, "file_name")):
        with pytest.raises(dj.errors.AccessError):
            lookup_all(table, column)


@pytest.mark.parametrize("role", ["worker", "steward"])
def test_a_worker_or_a_steward_syncs_people(site: Site, tmp_path: Path, role: str) -> None:
    binding = bind_all(site.settings(role))
    table = tmp_path / "people.csv"
    names = "login,name,department,employee\n"
    table.write_text(f"{names}{role}-1,One,Chemistry,\n{role}-2,Two,Physics,17{role}\n")
    request = Request("csv", table, allow_drop=True)
    assert sync_people(binding, request).new == 2
    table.write_text(f"{names}{role}-1,Uno,Biology,17{role}\n{role}-2,Two,Physics,17{role}\n")
    done = sync_people(binding, request)
    assert (done.changed, done.joined) == (1, 0)  # both were known, so a number is not enough to make them one
    assert sync_people(binding, request).changed == 0
    one = (Account & {"login": f"{role}-1"}).fetch1()
    Account.update1({"account_id": one["account_id"], "person_id": one["person_id"]})  # what joining them takes


def test_a_steward_keeps_people(site: Site) -> None:
    bind_all(site.settings("steward"))
    person = {"person_id": "1" * 32, "full_name": "Amy", "person_kind": "person"}
    Person.insert1(person)
    Person.update1(person | {"full_name": "Amy B."})
    assert (Person & {"person_id": "1" * 32}).fetch1("full_name") == "Amy B."
    (Person & {"person_id": "1" * 32}).delete_quick()
    with pytest.raises(dj.errors.AccessError):
        Access().delete_quick()


def test_a_steward_has_go_what_no_rule_keeps(site: Site, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_bytes(b"old")
    assert adopt(tmp_path, settings=site.settings("worker")).taken == 1
    unbind()
    settings = site.settings("steward")
    binding, store, later = bind_all(settings), open_store(site.settings("worker")), datetime(2100, 1, 1)
    rule = add_rule(binding, settings, "days", 30)
    assert retain(binding, store, settings, now=later).marked >= 1
    done = retain(binding, store, settings, now=later + timedelta(days=30))
    assert done.swept >= 1
    assert done.removed >= 1
    end_rule(binding, settings, rule.number)
    case = hold(binding, settings, "case 17")
    release(binding, settings, case.number)
    assert len(Placement & {"sha256": hashlib.sha256(b"old").hexdigest()}) == 0


def test_a_steward_enters_what_was_decided_and_a_worker_does_not(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    settings = site.settings("steward")
    case = hold(bind_all(settings), settings, "case 18")
    assert "not noted down" not in caplog.text
    unbind()
    bind_all(site.settings())
    LegalHoldNoted().delete_quick()
    where(LegalHold, hold_number=case.number).delete_quick()
    stores = [open_store(settings)]
    unbind()
    done = enter_decisions(bind_all(site.settings("worker")), stores)
    assert (done.decisions, len(done.refused)) == ([], 1)
    assert "only a steward" in done.refused[0]
    unbind()
    binding = bind_all(settings)
    with pytest.raises(DatabaseOutdated):
        retain(binding, stores[0], settings)
    (entered,) = (done := enter_decisions(binding, stores)).decisions
    assert (done.refused, "case 18" in entered) == ([], True)
    release(binding, settings, case.number)


def test_a_steward_keeps_what_objects_without_rows_have_the_last_bytes_of(site: Site, tmp_path: Path) -> None:
    contents = {hashlib.sha256(data).hexdigest(): data for data in (b"%d whole" % n for n in range(FEW))}
    lost, damaged, *_ = contents
    for sha256 in (lost, damaged):
        (tmp_path / sha256).write_bytes(contents[sha256])
    assert adopt(tmp_path, settings=site.settings("worker")).taken == 2
    unbind()
    binding, store = bind_all(site.settings()), open_store(site.settings("worker"))
    assert isinstance(store, FolderStore)
    where(Placement, sha256=lost).delete_quick()
    own = store.root / object_name_of(damaged)
    own.chmod(0o600)
    own.write_bytes(bytes(len(contents[damaged])))
    keep(store, contents)  # a pack of a worker that was killed, which nothing leads to
    store_id = identity("store", store.name)
    unbind()
    binding = bind_all(site.settings("steward"))
    here = list(held(binding.connection, store_id))
    record(store_id, (), [one for one in verified(store, here) if isinstance(one, Problem)])
    assert open_damages(store_id).keys() == {damaged}
    assert look_again(store_id) == 1
    for later in (0, 30):
        retain(binding, store, site.settings("steward"), now=datetime(2100, 1, 1) + timedelta(days=later))
    here = list(held(binding.connection, store_id))
    assert {lost, damaged} <= {one.sha256 for one in here}
    assert [one for one in verified(store, here) if isinstance(one, Problem)] == []
    record(store_id, here)
    record(store_id, here)  # twice a day is once
    assert len(open_damages(store_id)) == 0


def privileges(site: Site) -> list[tuple[Any, ...]]:
    """Return what the roles may do, as the server tells the owner."""
    if site.backend == "mysql":
        return sorted(
            row
            for role in ROLES
            for row in site.execute("SHOW GRANTS", login=role)
            if "login" not in row[0].split("TO")[0]
        )
    return sorted(
        site.execute(
            "SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.table_privileges "
            f"WHERE starts_with(grantee, '{site.prefix}_')"
        )
    )


def test_deploying_again_changes_nothing_and_takes_away_what_was_added(site: Site) -> None:
    before = privileges(site)
    assert len(before) > 100
    table = f"{site.prefix}_people.person"
    site.execute(f"GRANT DELETE ON {table} TO {site.prefix}_dashboard")
    assert privileges(site) != before
    binding = bind_all(site.settings(), deploy=True)
    again = deploy_roles(binding)
    assert privileges(site) == before
    assert deploy_roles(binding) == again


def test_deploying_again_disturbs_nobody_who_is_at_work(site: Site) -> None:
    """As each `docker compose up` does, while the services run."""
    binding, done = bind_all(site.settings(), deploy=True), threading.Event()

    def refused(role: str, verb: str, *names: str) -> int:
        found = 0
        with site.connect(role) as connection, connection.cursor() as cursor:
            while True:
                found += sum(not attempt(cursor, f"{verb} {site.prefix}_{name} WHERE 1 = 0") for name in names)
                if done.is_set():
                    return found

    with ThreadPoolExecutor() as pool:
        at_work = [
            pool.submit(refused, "dashboard", "SELECT 1 FROM", "people.person", "catalogue.file"),
            pool.submit(refused, "steward", "DELETE FROM", "people.account", "backup.placement"),
        ]
        if binding.backend == "mysql":  # where who adds rows that may be there has to change a column
            at_work.append(pool.submit(refused, "worker", "UPDATE", "catalogue.blob SET sha256 = sha256"))
        try:
            deploy_roles(binding)
        finally:
            done.set()
        assert {one.result() for one in at_work} == {0}


def test_who_may_not_make_roles_is_told_what_to_do(site: Site) -> None:
    binding = bind_all(site.settings("steward"))
    with pytest.raises(DatabaseError, match="--no-roles"):
        deploy_roles(binding)
