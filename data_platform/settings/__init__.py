"""One typed settings object; nothing else in the project reads the environment.

Precedence, first wins:

1. arguments given to `Settings` (tests, the command line),
2. environment variables ``DATA_PLATFORM_*``; nested ones with two underscores, as in
   ``DATA_PLATFORM_DATABASE__HOST``,
3. secret files in the folder named by ``DATA_PLATFORM_SECRETS`` (one file a setting, named
   like the variable in lower case, as Docker and Kubernetes mount them),
4. the file named by ``DATA_PLATFORM_CONFIG``, else ``data-platform.toml`` in
   ``DATA_PLATFORM_HOME``, else ``/etc/data-platform/data-platform.toml``,
5. the defaults below.

A ``data-platform.toml`` in the current folder is deliberately *not* read: a cloned
repository must not be able to redirect anybody's audit trail.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from data_platform.later import Dotenv, LaterPackage, imported_later

# Commands that are coroutines and `.env` files, of which there are none here, would need these.
with imported_later({"asyncio": LaterPackage, "dotenv": Dotenv}):
    from pydantic import Field, ValidationError, field_validator
    from pydantic_settings import (
        BaseSettings,
        EnvSettingsSource,
        NestedSecretsSettingsSource,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
        TomlConfigSettingsSource,
    )

from data_platform.errors import SettingsError
from data_platform.settings.dashboard import DashboardSettings
from data_platform.settings.descriptions import DescriptionSettings
from data_platform.settings.lineage import LineageSettings
from data_platform.settings.searching import SearchSettings
from data_platform.settings.sections import (
    GIB,
    MIB,
    CacheSettings,
    DatabaseSettings,
    DirectorySettings,
    FileSettings,
    HttpSettings,
    LogSettings,
    MailSettings,
    Microsoft365Settings,
    MonitorSettings,
    OutboxSettings,
    QuestionSettings,
    ReadingSettings,
    S3Settings,
    StoreSettings,
)
from data_platform.settings.subscriptions import SubscriptionSettings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "GIB",
    "MIB",
    "PREFIX",
    "SYSTEM_CONFIG",
    "CacheSettings",
    "DashboardSettings",
    "DatabaseSettings",
    "DescriptionSettings",
    "DirectorySettings",
    "FileSettings",
    "HttpSettings",
    "LineageSettings",
    "LogSettings",
    "MailSettings",
    "Microsoft365Settings",
    "MonitorSettings",
    "OutboxSettings",
    "QuestionSettings",
    "ReadingSettings",
    "S3Settings",
    "SearchSettings",
    "Settings",
    "StoreSettings",
    "SubscriptionSettings",
    "config_file",
    "isolated_environment",
    "load",
    "origins",
    "settings",
    "unknown_variables",
]

PREFIX = "DATA_PLATFORM_"
"""Of variables of the environment."""
SYSTEM_CONFIG = Path("/etc/data-platform/data-platform.toml")
_log = logging.getLogger(__name__)


class Settings(BaseSettings):
    """Everything that can be configured. See the module's docstring for precedence."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("data-platform")),
        description="folder of cache and outbox, and unless configured of database and store; default: the user's data",
    )
    account: str = Field(
        "", max_length=255, description="who reads, where the source has no sign-in; empty = login of the machine"
    )
    realm: str = Field(
        "local", max_length=255, description="directory that logins of this machine and of `account` belong to"
    )
    on_behalf_of: str = Field("", max_length=255, description="person a service account works for")
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    reading: ReadingSettings = ReadingSettings()
    cache: CacheSettings = CacheSettings()
    outbox: OutboxSettings = OutboxSettings()
    file: FileSettings = FileSettings()
    http: HttpSettings = HttpSettings()
    s3: S3Settings = S3Settings()
    microsoft365: Microsoft365Settings = Microsoft365Settings()
    directory: DirectorySettings = DirectorySettings()
    log: LogSettings = LogSettings()
    monitor: MonitorSettings = MonitorSettings()
    mail: MailSettings = MailSettings()
    questions: QuestionSettings = QuestionSettings()
    subscriptions: SubscriptionSettings = SubscriptionSettings()
    descriptions: DescriptionSettings = DescriptionSettings()
    lineage: LineageSettings = LineageSettings()
    search: SearchSettings = SearchSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return Path(os.path.abspath(home.expanduser()))

    @property
    def store_url(self) -> str:
        """Where content is kept, with the default filled in."""
        return self.store.url or str(self.home / "store")

    @property
    def store_is_set(self) -> bool:
        """Whether that is the catalogue's store: a database on a server has none in the home of a machine."""
        return bool(self.store.url) or self.database.backend == "embedded"

    @property
    def cache_folder(self) -> Path:
        return self.home / "cache"

    @property
    def outbox_folder(self) -> Path:
        return self.home / "outbox"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if folder := os.environ.get("DATA_PLATFORM_SECRETS"):
            sources.append(_secrets(settings_cls, folder))
        if (config := config_file()) is not None:
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=config))
        return tuple(sources)


def config_file() -> Path | None:
    """Return the configuration file in force, or None."""
    if named := os.environ.get("DATA_PLATFORM_CONFIG"):
        if not Path(named).is_file():
            raise SettingsError(
                f"DATA_PLATFORM_CONFIG names {named}, which is not a file. Create it or unset the variable."
            )
        return Path(named)
    home = os.environ.get("DATA_PLATFORM_HOME") or platformdirs.user_data_dir("data-platform")
    candidates = (Path(home).expanduser() / "data-platform.toml", SYSTEM_CONFIG)
    return next((path for path in candidates if path.is_file()), None)


def _secrets(settings_cls: type[BaseSettings], folder: str) -> PydanticBaseSettingsSource:
    """Secret files, the nested ones too (pydantic's plain source silently skips those)."""
    if not Path(folder).is_dir():
        raise SettingsError(
            f"DATA_PLATFORM_SECRETS names {folder}, which is not a folder. Create it or unset the variable."
        )
    for path in sorted(Path(folder).iterdir()):
        # Whoever mounts a secret means to have one; without it a service would fail at its first use, if at all.
        if path.name.lower().startswith("data_platform_") and path.is_file() and not path.read_bytes().strip():
            raise SettingsError(f"The secret file {path} is empty. Fill it in, or remove it if none is needed.")
    return NestedSecretsSettingsSource(settings_cls, secrets_dir=folder)  # type: ignore[arg-type]


def origins() -> dict[str, str]:
    """Return where each setting that is not a default comes from, as ``database.host`` -> ``environment``."""
    found: dict[str, str] = {}
    if (config := config_file()) is not None:
        found |= dict.fromkeys(_dotted(TomlConfigSettingsSource(Settings, toml_file=config)()), str(config))
    if folder := os.environ.get("DATA_PLATFORM_SECRETS"):
        found |= dict.fromkeys(_dotted(_secrets(Settings, folder)()), f"secret file in {folder}")
    return found | dict.fromkeys(_dotted(EnvSettingsSource(Settings)()), "environment")


def _dotted(values: dict[str, Any], outer: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and outer == "":
            yield from _dotted(value, f"{name}.")
        else:
            yield f"{outer}{name}"


def isolated_environment(home: Path, **variables: str) -> dict[str, str]:
    """Return the environment for a process that must not see this one's configuration.

    Everything ``DATA_PLATFORM_*`` is left out but `home` and `variables` (named without the
    prefix), so what the demo does can never reach the catalogue that its user works with.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("DATA_PLATFORM_")}
    given = {f"DATA_PLATFORM_{name}": value for name, value in variables.items()}
    return (
        inherited | given | {"DATA_PLATFORM_HOME": str(home), "DATA_PLATFORM_CONFIG": str(home / "data-platform.toml")}
    )


def load(**overrides: object) -> Settings:
    """Read the settings afresh.

    Raises
    ------
    SettingsError
        If a value is wrong; the message names the setting and never its value, which may
        be a secret. Or if what it stands in cannot be read.
    """
    try:
        found = Settings(**overrides)  # type: ignore[arg-type]
        _assert_fit(found)
        return found
    except SettingsError:
        raise
    except PermissionError as error:  # as in a container, whose user is none of the machine's that the files are on
        raise SettingsError(f"User {os.geteuid()} may not read {error.filename}. Let that user read it.") from None
    except ValidationError as error:
        raise SettingsError("Wrong settings: " + "; ".join(_problem(wrong) for wrong in error.errors()) + ".") from None
    except ValueError as error:  # a broken TOML file
        raise SettingsError(f"{config_file()} is no valid TOML ({error}). Mend that line.") from None


def _assert_fit(settings: Settings) -> None:
    """See that settings fit each other."""
    if settings.search.engine == "postgresql" and settings.database.backend == "mysql":
        raise SettingsError(
            "search.engine is postgresql, and the catalogue is on MySQL (database.backend): the index is kept by the "
            "catalogue's own server. Set search.engine to tantivy, with which each machine that searches keeps one."
        )


def _problem(wrong: ErrorDetails) -> str:
    """Return which setting is wrong, where it comes from, and why; never its value."""
    name = ".".join(str(part) for part in wrong["loc"])
    origin = origins().get(".".join(name.split(".")[:2])) or origins().get(name.partition(".")[0])
    place = f" ({origin})" if origin else ""
    if wrong["type"] == "extra_forbidden":
        return f"there is no setting {name}{place}; docs/reference/settings.md has them all. Correct or remove it"
    return f"{name}{place}: {wrong['msg']}. Correct it"


def unknown_variables() -> list[str]:
    """Return the names of variables ``DATA_PLATFORM_*`` that set nothing: misspelt, most likely."""
    names = (name for name in os.environ if name.upper().startswith(PREFIX))
    known = {*Settings.model_fields, "config", "secrets", "debug"}
    return sorted(name for name in names if name[len(PREFIX) :].lower().partition("__")[0] not in known)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once."""
    found = load()
    if unknown := unknown_variables():
        _log.warning("Nothing is set by %s. Correct the name: `data-platform doctor` has them all.", ", ".join(unknown))
    return found
