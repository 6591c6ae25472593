"""Where backed-up content is kept: a folder, or a bucket of any S3-compatible server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from data_platform.errors import MissingExtra, SettingsError
from data_platform.settings import Settings
from populate.store.base import Place, Store, Traits, Writer, content_of, object_name_of

__all__ = ["Place", "Store", "Traits", "Writer", "content_of", "object_name_of", "open_store"]


def open_store(settings: Settings) -> Store:
    """Open the content store that `settings.store_url` names.

    A folder is made if it is missing; a bucket at the first write. Open a store in the
    process that uses it.

    Raises
    ------
    SettingsError
        If the URL is neither a folder nor ``s3://bucket/prefix``.
    MissingExtra
        If it is a bucket and the packages for that are not installed.
    StoreUnavailable
        If the store cannot be reached or refuses the credentials.
    """
    url = settings.store_url
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme == "s3":
        return _open_bucket(settings)
    if scheme not in ("", "file"):
        raise SettingsError(f"The setting store.url has the scheme {scheme!r}. Use a folder or s3://bucket/prefix.")
    from populate.store.folder import FolderStore

    path = unquote(urlsplit(url).path) if scheme else url
    return FolderStore(Path(path).expanduser())


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
