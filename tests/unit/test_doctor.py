"""What the doctor says without any server, and where settings come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_platform import doctor
from data_platform.errors import SettingsError
from data_platform.settings import isolated_environment, load, origins, unknown_variables

CANARY = "Canary-7f3a"


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATA_PLATFORM_CONFIG", "DATA_PLATFORM_SECRETS", "DATA_PLATFORM_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(tmp_path))
    return tmp_path


def values() -> dict[str, tuple[str, str]]:
    return {value.name: (value.value, value.origin) for value in doctor.configured(load())}


@pytest.mark.parametrize(
    ("backend", "url", "is_set"),
    [("embedded", "", True), ("postgresql", "", False), ("mysql", "", False), ("mysql", "s3://lab", True)],
)
def test_beside_a_server_the_default_store_is_none_that_was_set(backend: str, url: str, is_set: bool) -> None:
    assert load(database={"backend": backend}, store={"url": url}).store_is_set == is_set


def test_every_setting_is_listed_with_its_origin(no_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_configuration / "data-platform.toml").write_text(
        'realm = "lab"\n[database]\nhost = "db"\nport = 5\n[file.owners]\n"/shares/maria" = "maria"\n'
    )
    monkeypatch.setenv("DATA_PLATFORM_DATABASE__PORT", "6")
    listed = values()
    assert listed["realm"] == ("lab", str(no_configuration / "data-platform.toml"))
    assert listed["database.host"] == ("db", str(no_configuration / "data-platform.toml"))
    assert listed["database.port"] == ("6", "environment")
    assert listed["home"] == (str(no_configuration), "environment")
    assert listed["database.user"] == ("data_platform", "default")
    assert {"cache.max_bytes", "store.url", "http.trusted_hosts"} <= set(listed)
    assert listed["file.owners[/shares/maria]"] == ("maria", str(no_configuration / "data-platform.toml"))


def test_a_secret_is_told_only_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "data_platform_database__password").write_text(CANARY)
    monkeypatch.setenv("DATA_PLATFORM_SECRETS", str(secrets))
    monkeypatch.setenv("DATA_PLATFORM_STORE__SECRET_KEY", CANARY)
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", f"s3://user:{CANARY}@bucket/x")
    assert load().database.password.get_secret_value() == CANARY
    listed = values()
    assert listed["database.password"] == ("set", f"secret file in {secrets}")
    assert listed["store.secret_key"] == ("set", "environment")
    assert CANARY not in str(listed)


def test_no_secret_is_said_to_be_missing() -> None:
    assert values()["database.password"] == ("not set", "default")


@pytest.mark.parametrize(
    "content",
    [
        'realm = "unfinished',
        "[database]\nport = 'x'\n",
        "unknown_key = 1\n",
        '[database]\npassword = ["Canary-7f3a"]\n',
    ],
)
def test_a_broken_configuration_is_a_finding_not_a_traceback(no_configuration: Path, content: str) -> None:
    (no_configuration / "data-platform.toml").write_text(content)
    report = doctor.examine()
    assert not report.well
    assert [finding.state for finding in report.findings] == ["todo"]
    assert report.findings[0].advice
    assert CANARY not in str(report)


def test_a_folder_of_secrets_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "data_platform_questions__key").write_text("\n")
    monkeypatch.setenv("DATA_PLATFORM_SECRETS", str(tmp_path / "empty"))
    with pytest.raises(SettingsError, match="data_platform_questions__key is empty"):
        load()
    monkeypatch.setenv("DATA_PLATFORM_SECRETS", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="DATA_PLATFORM_SECRETS"):
        load()
    with pytest.raises(SettingsError, match="DATA_PLATFORM_SECRETS"):
        origins()


def test_a_demo_sees_nothing_of_its_users_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_DATABASE__HOST", "the-real-catalogue")
    monkeypatch.setenv("data_platform_store__url", "s3://the-real-store")
    environment = isolated_environment(tmp_path / "demo", ACCOUNT="maria.rossi")
    ours = {name: value for name, value in environment.items() if name.upper().startswith("DATA_PLATFORM")}
    assert ours == {
        "DATA_PLATFORM_HOME": str(tmp_path / "demo"),
        "DATA_PLATFORM_CONFIG": str(tmp_path / "demo" / "data-platform.toml"),
        "DATA_PLATFORM_ACCOUNT": "maria.rossi",
    }
    assert environment["PATH"]


def test_a_misspelt_variable_is_found(no_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_ACOUNT", "amy")
    monkeypatch.setenv("DATA_PLATFORM_STORE_URL", "/srv")
    assert unknown_variables() == ["DATA_PLATFORM_ACOUNT", "DATA_PLATFORM_STORE_URL"]
    found = list(doctor._variables(load()))
    assert ["sets nothing" in finding.detail for finding in found] == [True, True]


def test_a_wrong_setting_is_named_with_its_place(no_configuration: Path) -> None:
    file = no_configuration / "data-platform.toml"
    file.write_text('[store]\nurll = "/srv"\n')
    with pytest.raises(SettingsError, match=r"there is no setting store\.urll \(.*data-platform\.toml\)"):
        load()
    file.write_text("[store\n")
    with pytest.raises(SettingsError, match=r"data-platform\.toml is no valid TOML"):
        load()


@contextmanager
def somebody_else() -> Iterator[int]:
    """Be a user who may not read everything, for the length of a block, if this is root."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield os.geteuid()
    finally:
        os.seteuid(me)


def test_a_file_that_may_not_be_read_is_named(no_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is in a container: its user is none of the machine's that the files are on."""
    (no_configuration / "data-platform.toml").touch(0)
    no_configuration.chmod(0o700)
    with somebody_else() as user, pytest.raises(SettingsError, match=rf"^User {user} may not read .*\.toml\. Let "):
        load()
    monkeypatch.setenv("DATA_PLATFORM_SECRETS", str(no_configuration))
    (no_configuration / "data-platform.toml").rename(no_configuration / "data_platform_store__access_key")
    with somebody_else() as user, pytest.raises(SettingsError, match=rf"^User {user} may not read {no_configuration}"):
        load()


def test_what_is_said_of_a_secret_is_not_taken_for_a_fault_of_the_file(
    no_configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_SECRETS", str(no_configuration / "secrets"))
    with pytest.raises(SettingsError, match=r"^DATA_PLATFORM_SECRETS names .*, which is not a folder\. Create it"):
        load()
    (no_configuration / "secrets").mkdir()
    (no_configuration / "secrets" / "data_platform_store__access_key").touch()
    with pytest.raises(SettingsError, match=r"^The secret file .*_access_key is empty\. Fill it in"):
        load()
