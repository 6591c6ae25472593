"""Where backed-up content is kept: a folder, or a bucket of any S3-compatible server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

from data_platform.errors import MissingExtra, SettingsError, StoreSealed, StoreUnavailable
from data_platform.settings import Settings, StoreSettings
from populate.store.base import Place, Store, Traits, Writer, content_of, object_name_of

__all__ = [
    "Place",
    "Store",
    "Traits",
    "Writer",
    "content_of",
    "object_name_of",
    "open_replica",
    "open_store",
    "reachable_stores",
    "stores",
]


def open_store(settings: Settings) -> Store:
    """Open the content store that `settings.store_url` names.

    A folder is made if it is missing; a bucket at the first write. Open a store in the
    process that uses it.

    Raises
    ------
    SettingsError
        If the URL is neither a folder nor ``s3://bucket/prefix``.
    MissingExtra
        If it is a bucket, or contents are to be sealed, and the packages for that are not installed.
    StoreUnavailable
        If the store cannot be reached or refuses the credentials.
    StoreSealed
        If its contents are sealed and `store.seal_keys` is not set.
    """
    store = _open(settings)
    if settings.store.seal or settings.store.seal_keys.get_secret_value():
        return _sealed(store, settings.store)
    _look_for_seals(store)
    return store


def _open(settings: Settings) -> Store:
    url = settings.store_url
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme == "s3":
        return _open_bucket(settings)
    if scheme not in ("", "file"):
        raise SettingsError(f"The setting store.url has the scheme {scheme!r}. Use a folder or s3://bucket/prefix.")
    from populate.store.folder import FolderStore

    path = unquote(urlsplit(url).path) if scheme else url
    return FolderStore(Path(path).expanduser())


def open_replica(settings: Settings) -> Store | None:
    """Open the second store, that `store.replica_url` names; None if there is none.

    Raises
    ------
    SettingsError
        If the setting names the first store, or is wrong as `open_store` tells.
    StoreUnavailable
        If it cannot be reached or refuses the credentials.
    """
    store = settings.store
    if not store.replica_url:
        return None
    second = store.model_copy(
        update={
            "url": store.replica_url,
            "endpoint": store.replica_endpoint,
            "region": store.replica_region,
            "access_key": store.replica_access_key,
            "secret_key": store.replica_secret_key,
            **{"storage_class": "", "encryption": "", "encryption_key": ""},  # as its own bucket does
        }
    )
    first = (settings.store_url.rstrip("/"), store.endpoint)
    if first == (store.replica_url.rstrip("/"), store.replica_endpoint):
        raise SettingsError("The setting store.replica_url names the content store itself. Name a second place.")
    return open_store(settings.model_copy(update={"store": second}))


def stores(settings: Settings) -> list[Store]:
    """Open the store, and the replica if there is one: everything that holds contents.

    Raises
    ------
    SettingsError, MissingExtra, StoreUnavailable
        As `open_store` tells.
    """
    replica = open_replica(settings)
    return [open_store(settings), *([replica] if replica else [])]


def reachable_stores(settings: Settings) -> list[Store]:
    """Open those of the stores that answer, the first one first: to read from.

    Raises
    ------
    SettingsError, MissingExtra
        As `open_store` tells.
    StoreUnavailable
        If none answers.
    """
    found, failure = list[Store](), None
    for opened in (open_store, open_replica):
        try:
            if (store := opened(settings)) is not None:
                found.append(store)
        except StoreUnavailable as error:
            failure = failure or error
    if failure is not None and not found:
        raise failure
    return found


def _sealed(store: Store, settings: StoreSettings) -> Store:
    if store.opened_by is not None:
        return store.opened_by
    try:
        from populate.store.sealed import SealedStore
        from populate.store.sealing import master_keys
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] != "cryptography":
            raise
        raise MissingExtra(
            f'The package {error.name} is needed to seal contents. Run `pip install "data-platform[platform]"`.'
        ) from error
    keys = master_keys(settings.seal_keys.get_secret_value())
    if not keys:
        raise SettingsError(
            "The setting store.seal is on and store.seal_keys is empty. Make a key with `openssl rand -hex 32`."
        )
    sealed = SealedStore(store, keys, seals=settings.seal)
    try:
        _look_for_seals(sealed)
    except StoreSealed:
        store.opened_by = None
        raise
    return sealed


def _look_for_seals(store: Store) -> None:
    """Raise `StoreSealed` if contents are sealed that this store does not open; looked for once in each opened one."""
    if store in _looked_at:
        return
    try:
        store.refuse_seals()
    except StoreSealed:
        raise
    except StoreUnavailable:
        return  # what comes next tells why
    _looked_at.add(store)


_looked_at: WeakSet[Store] = WeakSet()


def _open_bucket(settings: Settings) -> Store:
    try:
        from populate.store.s3 import open_bucket
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] not in ("boto3", "botocore", "obstore"):
            raise
        raise MissingExtra(
            f'The package {error.name} is needed to keep content in S3. Run `pip install "data-platform[platform]"`.'
        ) from error
    return open_bucket(settings.store)
