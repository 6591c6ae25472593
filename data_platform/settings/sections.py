"""The sections of the settings: each a part of the product that can be configured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

MIB = 1024 * 1024
GIB = 1024 * MIB


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """Which database holds the catalogue."""

    backend: Literal["embedded", "postgresql", "mysql"] = Field(
        "embedded", description="embedded: a PostgreSQL in HOME that nobody has to set up; else a server"
    )
    host: str = Field("127.0.0.1", description="of a server: its address, or for PostgreSQL the folder of its socket")
    port: int = Field(0, description="0 = the backend's usual port")
    user: str = Field("data_platform", description="login at the server")
    password: SecretStr = Field(SecretStr(""), description="of that login; better in a secret file than here")
    name: str = Field("postgres", description="PostgreSQL database; MySQL does not use it")
    tls: bool = Field(True, description="encrypt connections to a server that is not on loopback")
    tls_ca: Path | None = Field(None, description="certificate authority that signed the server's certificate")
    prefix: str = Field(
        "data_platform", pattern=r"^[a-z][a-z0-9_]{0,31}$", description="schemas are named PREFIX_people …"
    )


class StoreSettings(_Section):
    """Where backed-up content is kept."""

    url: str = Field("", description="a folder or s3://bucket/prefix; empty = HOME/store")
    endpoint: str = Field("", description="address of an S3 server that is not AWS")
    region: str = Field("", description="of the bucket, where its server has regions")
    access_key: str = Field("", description="empty = the usual AWS credential chain")
    secret_key: SecretStr = Field(SecretStr(""), description="belongs to `access_key`")
    pack_bytes: int = Field(
        0,
        ge=0,
        le=64 * MIB,
        description="contents up to 1 MiB are stored together in objects of about so many bytes, say 8000000; "
        "0 = each by itself",
    )
    storage_class: str = Field(
        "",
        pattern="^[A-Za-z0-9_-]*$",
        description="of S3 objects, as STANDARD_IA or GLACIER_IR; empty = the bucket's own. None that is thawed "
        "before it is read, for backups are read again and again",
    )
    storage_class_bytes: int = Field(
        131_072, ge=0, description="S3 objects of at least so many bytes get `storage_class`; packs are such objects"
    )
    encryption: Literal["", "AES256", "aws:kms"] = Field(
        "", description="how the S3 server is told to encrypt objects; empty = as the bucket does by itself"
    )
    encryption_key: str = Field("", description="id of the key for `aws:kms`; empty = the server's own")
    seal: bool = Field(
        False, description="new contents are encrypted here before they are stored, with the first of `seal_keys`"
    )
    seal_keys: SecretStr = Field(
        SecretStr(""),
        description="of store and replica: each 64 hexadecimal digits, the newest first, older ones after it as long "
        "as contents are sealed with them",
    )
    verify_days: int = Field(
        30, ge=0, le=3650, description="every backed-up content is read back once in so many days; 0 = by hand only"
    )
    quarantine_days: float = Field(
        14.0, ge=0, le=3650, description="what no rule keeps any more leaves the store after this long, by `retain`"
    )
    replica_url: str = Field(
        "", description="a second folder or bucket that every content is copied to, and had from; empty = none"
    )
    replica_endpoint: str = Field("", description="of the replica: address of an S3 server that is not AWS")
    replica_region: str = Field("", description="of the replica's bucket, where its server has regions")
    replica_access_key: str = Field("", description="of the replica; empty = the usual AWS credential chain")
    replica_secret_key: SecretStr = Field(SecretStr(""), description="belongs to `replica_access_key`")


class ReadingSettings(_Section):
    """What reading does beside handing over bytes."""

    on_stale: Literal["warn", "latest", "error"] = Field(
        "warn",
        description="when bytes are known to be recalled, not the newest version, or a copy that stayed behind: "
        "a warning, the right or newest version instead where there is one, or an error",
    )


class CacheSettings(_Section):
    """The local, content-addressed cache of bytes that were read."""

    max_bytes: int = Field(20 * GIB, ge=0, description="least recently used content above this is evicted")
    keep_seconds: float = Field(3600.0, ge=0, description="content used more recently than this is never evicted")


class OutboxSettings(_Section):
    """The local, durable queue of accesses that wait for the database."""

    segment_bytes: int = Field(1 * MIB, ge=4096, description="size of one segment file")
    max_bytes: int = Field(
        1 * GIB, ge=4096, description="backlog above this is reported; reads go on unrecorded, loudly"
    )
    batch_events: int = Field(1000, ge=1, le=10_000, description="accesses per delivered batch")
    ship: bool = Field(True, description="start the shipper process on demand")
    idle_seconds: float = Field(5.0, ge=0, description="the shipper ends after this long without work")


class FileSettings(_Section):
    """Reading files and mounted shares."""

    host: str = Field(
        "",
        max_length=250,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="what this machine's own disks are called in the catalogue; empty = its hostname",
    )
    max_bytes: int = Field(1024 * GIB, ge=0, description="larger files are refused")
    owners: dict[str, str] = Field(
        default_factory=dict, description="folder -> login of its owner, for shares mounted under one user"
    )


class HttpSettings(_Section):
    """Reading http(s) links."""

    trusted_hosts: tuple[str, ...] = Field((), description="host or host:port that may be private or plain http")
    max_bytes: int = Field(1024 * GIB, ge=0, description="larger answers are refused")
    timeout_seconds: float = Field(30.0, gt=0, description="per network operation")
    deadline_seconds: float = Field(3600.0, gt=0, description="for one whole download")
    max_redirects: int = Field(3, ge=0, description="a link that leads on more often is refused")


class S3Settings(_Section):
    """Reading s3:// links with the user's own credentials (the usual AWS chain)."""

    endpoint: str = Field("", description="address of an S3 server that is not AWS")
    region: str = Field("", description="of the buckets, where their server has regions")
    max_bytes: int = Field(1024 * GIB, ge=0, description="larger objects are refused")


class Microsoft365Settings(_Section):
    """OneDrive, SharePoint and Teams files: where to sign in, and as which application."""

    tenant: str = Field("", pattern=r"^[A-Za-z0-9.-]*$", description="id or domain of the organisation; empty = none")
    client_id: str = Field("", pattern=r"^[A-Za-z0-9-]*$", description="id of the application registered in Entra")
    client_secret: SecretStr = Field(SecretStr(""), description="workers sign in with it; a certificate is better")
    certificate: Path | None = Field(None, description="workers sign in with it: PFX, or PEM with its key")
    certificate_password: SecretStr = Field(SecretStr(""), description="of that file; empty = it has none")
    cloud: Literal["global", "gcc", "gcchigh", "dod", "china"] = Field(
        "global", description="Microsoft's cloud that the organisation is in"
    )
    graph_url: str = Field("", description="address of Graph with its version, instead of the cloud's own")
    login_url: str = Field("", description="address to sign in at, instead of the cloud's own")
    audit_url: str = Field("", description="address of the Management Activity API, instead of the cloud's own")
    account: str = Field("", description="sign-in name of the person who reads, where several are signed in")
    scopes: tuple[str, ...] = Field(
        ("Files.Read.All", "Files.ReadWrite"),
        description="what a person's sign-in asks for; without Files.ReadWrite opaque sharing links may not open",
    )
    keyring: bool = Field(
        True,
        description="keep people's sign-ins in the keyring of the operating system where there is one, else a file",
    )
    follow: tuple[str, ...] = Field(
        (), description="sites (host/sites/name) and drives (their ids) that are followed as a whole"
    )
    sync_seconds: float = Field(
        600.0, ge=0, description="from one look at what has changed to the next, by the scheduler; 0 = never"
    )
    notify_url: str = Field(
        "", description="https address at which Microsoft 365 reaches `data-platform notices`; empty = it is only asked"
    )
    notify_key: SecretStr = Field(
        SecretStr(""), description="proves that notices are Microsoft's; at least 32 random characters"
    )
    log: Literal["activity", "search"] = Field(
        "activity",
        description="who shared and read is told by the Management Activity API, or Graph's audit log search",
    )
    backup_versions: int = Field(
        0, ge=0, description="as many of a file's earlier versions are backed up from the source's own history"
    )
    max_bytes: int = Field(1024 * GIB, ge=0, description="larger files are refused")
    timeout_seconds: float = Field(60.0, gt=0, description="per network operation")


class DirectorySettings(_Section):
    """Where people, departments and groups come from."""

    source: Literal["", "entra", "ldap", "csv"] = Field(
        "", description="the scheduler reads it once a day; empty = none. entra needs `microsoft365`"
    )
    csv: Path | None = Field(None, description="table of people that the scheduler reads")
    join: tuple[Literal["machine_login", "login", "mail", "employee"], ...] = Field(
        ("machine_login", "employee"),
        description="what of a directory is also somebody's login at machines of `realm`: the sAMAccountName or uid,"
        " the sign-in name, the address; employee: accounts with the same number are one person's",
    )
    max_drop: float = Field(
        0.2, ge=0, le=1, description="if a larger share of the accounts were to be closed at once, nothing is done"
    )
    groups: bool = Field(True, description="read groups and who is in them, too")
    ldap_url: str = Field("", pattern=r"^(ldaps?://\S+)?$", description="ldaps://host, or ldap://host[:port]")
    ldap_security: Literal["starttls", "none"] = Field(
        "starttls", description="how ldap:// is encrypted; none only to a server on this machine"
    )
    ldap_ca: Path | None = Field(None, description="certificate authority that signed the server's certificate")
    ldap_user: str = Field("", description="distinguished name to sign in with; empty = anonymous")
    ldap_password: SecretStr = Field(SecretStr(""), description="of that name")
    ldap_base: str = Field("", description="below which people and groups are, as dc=lab,dc=example")
    ldap_filter: str = Field(
        "", description="which objects are people; empty = persons and POSIX accounts, no computers"
    )
    ldap_group_filter: str = Field("", description="which objects are groups; empty = all that are of a usual kind")
    ldap_page: int = Field(500, ge=1, le=10_000, description="objects that are asked for at a time")
    timeout_seconds: float = Field(60.0, gt=0, description="per answer of a directory")


class MailSettings(_Section):
    """The server that mail is handed to."""

    host: str = Field("", description="SMTP server; empty = no mail is sent")
    port: int = Field(0, ge=0, le=65535, description="0 = 587 with starttls, 465 with tls, 25 with none")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is encrypted; none only to a server on this machine"
    )
    ca: Path | None = Field(None, description="certificate authority that signed the server's certificate")
    user: str = Field("", description="login at the server; empty = none is needed")
    password: SecretStr = Field(SecretStr(""), description="of that login")
    sender: str = Field("", description="address that mail comes from")
    domains: tuple[str, ...] = Field(
        (), description="mail goes to addresses of these only, and logins that are such addresses need no other"
    )
    timeout_seconds: float = Field(30.0, gt=0, description="per step of the conversation with the server")
    automatic: bool = Field(
        False, description="the scheduler asks about duplicates and sends the report; else `ask` and `report` do"
    )


class QuestionSettings(_Section):
    """Questions to the owners of duplicates, and the links that answer them."""

    url: str = Field("http://127.0.0.1:8501", description="address of the dashboard, which links lead to")
    key: SecretStr = Field(
        SecretStr(""), description="signs links; with the embedded database empty = a file in HOME that only you read"
    )
    link_days: int = Field(30, ge=1, le=365, description="a link is refused after this long")
    reminder_days: tuple[int, ...] = Field(
        (7, 21), description="days from one mail about a question to the next; there are no more than these"
    )
    mails_per_day: int = Field(1, ge=1, description="to one person in 24 hours, at most")
    min_bytes: int = Field(10 * MIB, ge=1, description="nobody is asked about copies that take less together")
    teams: bool = Field(False, description="mails offer to open a chat with the owner of the original in Teams")
    user: str = Field("", description="login at the database that adds answers; empty = `database.user`")
    password: SecretStr = Field(SecretStr(""), description="of that login")

    @field_validator("key", mode="after")
    @classmethod
    def _long(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < 32:
            raise ValueError("a key has at least 32 characters")
        return key

    @field_validator("reminder_days", mode="after")
    @classmethod
    def _growing(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if any(day < 1 for day in days) or list(days) != sorted(set(days)):
            raise ValueError("each reminder has to come later after the one before than that did")
        return days


class LogSettings(_Section):
    """What commands and services write to standard error."""

    format: Literal["text", "json"] = Field("text", description="json: one object a line, for those who collect logs")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="info: a line for each job that a worker makes"
    )


class MonitorSettings(_Section):
    """Metrics and health of worker and scheduler, over HTTP."""

    host: str = Field("127.0.0.1", description="address to serve on; 0.0.0.0 in a container")
    port: int = Field(0, ge=0, le=65535, description="serves /metrics, /healthz and /readyz; 0 = nothing is served")
    stale_seconds: float = Field(
        900.0, gt=0, description="a service whose last round of work ended longer ago is not ready"
    )
