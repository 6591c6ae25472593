"""Every error this product raises, in one tree.

Each class is ours and, where one fits, the built-in that a caller would expect, so that
``except FileNotFoundError`` keeps working. Each message ends with what to do next.

::

    DataPlatformError
    ├── SettingsError (ValueError)             a setting is wrong or missing
    ├── MissingExtra (ImportError)             an optional package is not installed
    ├── SourceError                            a source system refused or failed
    │   ├── UnknownSource (ValueError)         no reader understands the link      P
    │   ├── SourceNotFound (FileNotFoundError) nothing there                       P
    │   ├── AccessDenied (PermissionError)     the source says no                  P
    │   │   └── SignInNeeded                   nobody is signed in, or not any more P
    │   ├── UnsafeLink (PermissionError)       the link leads where it must not    P
    │   ├── UnsupportedItem (OSError)          a socket, a device, a package …     P
    │   ├── TooLarge (OSError)                 over the configured limit           P
    │   ├── SourceUnavailable (ConnectionError) down, throttled, or a 5xx
    │   │   └── SourceElsewhere                a disk or share that this machine does not see
    │   ├── SourceTimeout (TimeoutError)       accepted, but never answered
    │   ├── IncompleteDownload (EOFError)      fewer or more bytes than announced
    │   ├── SourceChanged (OSError)            changed again and again while being read
    │   └── ResyncRequired                     changes since then are not known any more
    ├── DirectoryError                         a directory did not tell who there is
    │   ├── DirectoryUnavailable (ConnectionError) it does not answer, or does not let us in
    │   ├── DirectoryIncomplete (EOFError)     it did not tell everything
    │   └── DirectoryRefused (ValueError)      what it says is not believed or understood P
    ├── CacheError (OSError)                   the local cache cannot take the bytes
    ├── VersionUnavailable (LookupError)       these exact bytes cannot be had any more P
    ├── StaleData (ValueError)                 these bytes are out of date, by their owner or a newer version P
    ├── RecallRefused (ValueError)             a recall is not accepted                P
    ├── RestoreError (OSError)                 restored bytes cannot be put where they should go
    │   └── TargetExists (FileExistsError)     there is another file already       P
    ├── AutologError (TypeError)               a decorator cannot log this
    ├── PackageHidden (ImportError)            a file of the user has the name of a part of this product
    ├── OutboxError (OSError)                  an access could not be noted down
    ├── StoreError
    │   ├── BlobMissing (FileNotFoundError)    the store does not hold this content
    │   ├── BlobDamaged (ValueError)           the store's bytes do not match their hash
    │   ├── StoreFull (OSError)                no space left
    │   ├── ObjectLocked (PermissionError)     the store lets nobody remove this yet
    │   └── StoreUnavailable (ConnectionError) the store does not answer
    │       └── StoreSealed                    its contents are encrypted, and the key is not here
    ├── SnapshotRefused (ValueError)           of that day no snapshot can be taken    P
    ├── SearchUnavailable (RuntimeError)       the search index cannot be used
    ├── ReportUnavailable (LookupError)        there is nothing to report, or no place for it
    ├── DemoFailed (RuntimeError)              a script of the demo failed
    ├── MailError                              a mail was not sent
    │   ├── MailRefused (ValueError)           the server does not take this one
    │   └── MailUnavailable (ConnectionError)  the server does not answer, or refuses us
    ├── AnswerRefused (ValueError)             an answer to a question is not accepted P
    │   └── LinkRefused (PermissionError)      its link is forged, expired or somebody else's P
    └── DatabaseError
        ├── DatabaseUnavailable (ConnectionError) no connection
        ├── NotDeployed (LookupError)          the tables are not there yet
        ├── SchemaMismatch (RuntimeError)      tables of another release
        ├── DatabaseOutdated (RuntimeError)    older than what a store knows
        └── RestrictionError (ValueError)      an unsafe or misspelt restriction

P marks `Permanent`: trying again cannot help.
"""

from __future__ import annotations

import logging
from types import TracebackType

_log = logging.getLogger(__name__)


class DataPlatformError(Exception):
    """Base of every error that this product raises."""


class Permanent:
    """Mix-in: trying again cannot help, a person has to change something first."""


class SettingsError(DataPlatformError, ValueError):
    """A setting is wrong or missing."""


class MissingExtra(DataPlatformError, ImportError):
    """An optional package is needed and not installed."""


class SourceError(DataPlatformError):
    """A source system refused or failed."""


class UnknownSource(Permanent, SourceError, ValueError):
    """No reader understands this link."""


class SourceNotFound(Permanent, SourceError, FileNotFoundError):
    """There is nothing at this link."""


class AccessDenied(Permanent, SourceError, PermissionError):
    """The source does not let this account read the item."""


class SignInNeeded(AccessDenied):
    """Nobody is signed in to the source, or the sign-in is not valid any more."""


class UnsafeLink(Permanent, SourceError, PermissionError):
    """The link leads to an address or a place that must not be read."""


class UnsupportedItem(Permanent, SourceError, OSError):
    """The item is not made of bytes that could be read: a socket, a device, a package."""


class TooLarge(Permanent, SourceError, OSError):
    """The item is larger than the configured limit."""


class SourceUnavailable(SourceError, ConnectionError):
    """The source is down, throttles, or answers with a fault of its own."""


class SourceElsewhere(SourceUnavailable):
    """The file is on a disk or share that this machine does not see; another one may."""


class SourceTimeout(SourceError, TimeoutError):
    """The source accepted the request and did not answer in time."""


class IncompleteDownload(SourceError, EOFError):
    """The source sent another number of bytes than it announced."""


class SourceChanged(SourceError, OSError):
    """The item changed each time while it was being read."""


class ResyncRequired(SourceError):
    """The source does not know any more what has changed since: ask for everything again.

    `url` is where to begin, as the source says; empty if it does not.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class DirectoryError(DataPlatformError):
    """The directory of people did not tell who there is."""


class DirectoryUnavailable(DirectoryError, ConnectionError):
    """The directory does not answer, or does not let us in."""


class DirectoryIncomplete(DirectoryError, EOFError):
    """The directory did not tell everything, so nobody is taken for gone."""


class DirectoryRefused(Permanent, DirectoryError, ValueError):
    """What the directory, or a table of people, says is not believed or not understood."""


class CacheError(DataPlatformError, OSError):
    """The local cache cannot take the bytes: no space left, or not writable."""


class VersionUnavailable(Permanent, DataPlatformError, LookupError):
    """The exact bytes asked for cannot be had any more."""


class StaleData(Permanent, DataPlatformError, ValueError):
    """Bytes that were read are out of date, and ``on_stale="error"`` says that this is an error.

    `kind` says why: ``recalled``, ``superseded`` or ``copy``. `right` is the SHA-256 of the bytes to use
    instead, or empty.
    """

    kind = ""
    right = ""


class StaleDataWarning(UserWarning):
    """Bytes that were read are out of date: recalled, not the newest version, or a copy that stayed behind."""


class RecallRefused(Permanent, DataPlatformError, ValueError):
    """A recall, its end or an acknowledgement is not accepted."""


class RestoreError(DataPlatformError, OSError):
    """Restored bytes cannot be put where they should go."""


class TargetExists(Permanent, RestoreError, FileExistsError):
    """Where restored bytes should go there is another file already."""


class AutologError(DataPlatformError, TypeError):
    """`autolog` cannot wrap this, or not with these options."""


class PackageHidden(DataPlatformError, ImportError):
    """A file of the user has the name of one of this product's packages, and would be imported in its place."""


class OutboxError(DataPlatformError, OSError):
    """An access could not be noted down in the outbox."""


class StoreError(DataPlatformError):
    """The content store failed."""


class BlobMissing(StoreError, FileNotFoundError):
    """The content store does not hold this content."""


class BlobDamaged(StoreError, ValueError):
    """The bytes in the content store do not match their hash or size."""


class StoreFull(StoreError, OSError):
    """The content store has no space left."""


class ObjectLocked(StoreError, PermissionError):
    """The content store has objects locked against deletion.

    Attributes
    ----------
    names
        Of the objects.
    """

    names: frozenset[str] = frozenset()


class StoreUnavailable(StoreError, ConnectionError):
    """The content store does not answer, or refuses these credentials."""


class StoreSealed(StoreUnavailable):
    """Contents of the store are encrypted with a key that is not among those of the settings."""


class SnapshotRefused(Permanent, DataPlatformError, ValueError):
    """A snapshot of that day cannot be taken."""


class ReportUnavailable(DataPlatformError, LookupError):
    """A report cannot be made of this month, or not be written there."""


class SearchUnavailable(DataPlatformError, RuntimeError):
    """The search index is being made, or cannot be written."""


class DemoFailed(DataPlatformError, RuntimeError):
    """A script of the demo failed."""


class MailError(DataPlatformError):
    """A mail was not sent."""


class MailRefused(MailError, ValueError):
    """The mail server does not take this mail, or not to this address."""

    permanent = True
    """False if it may take it another time."""


class MailUnavailable(MailError, ConnectionError):
    """The mail server does not answer, or does not let us send."""


class AnswerRefused(Permanent, DataPlatformError, ValueError):
    """An answer to a question is not accepted."""


class EntryRefused(Permanent, DataPlatformError, ValueError):
    """A row that somebody entered does not fit its table; the message says what to correct."""


class LinkRefused(AnswerRefused, PermissionError):
    """The link that an answer came with is forged, has expired or is somebody else's."""


class DatabaseError(DataPlatformError):
    """The database refused or failed."""


class DatabaseUnavailable(DatabaseError, ConnectionError):
    """No connection to the database can be had."""


class NotDeployed(DatabaseError, LookupError):
    """The tables do not exist in this database yet."""


class SchemaMismatch(DatabaseError, RuntimeError):
    """The tables belong to another release of this product."""


class DatabaseOutdated(DatabaseError, RuntimeError):
    """A content store knows of decisions that the database does not: it was restored from an older dump."""


class RestrictionError(DatabaseError, ValueError):
    """A restriction names an unknown attribute or carries an unsafe value."""


class _AtCaller:
    """Has errors of ours end in the line that called the function around the ``with``, not within it.

    Who reads a file wants to see the own line and the reason, not how we came to it; that is
    in the log, at level debug. The interpreter adds a function to the traceback when an
    exception first reaches it, but not again when it leaves a ``with`` or ``except``: so what is
    taken away at that moment stays away. Other errors pass as they are.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from data_platform.extras import missing_extra

        if (missing := missing_extra(error)) is not None:
            raise missing from None
        if isinstance(error, DataPlatformError):
            _log.debug("%s", type(error).__name__, exc_info=error)
            error.__cause__ = error.__context__ = error.__traceback__ = None
            error.__suppress_context__ = True


at_caller = _AtCaller()
"""For ``with at_caller:`` round the body of a function that users call."""
