"""A client for S3 with the credentials that the AWS tools use here."""

from __future__ import annotations

from typing import Any

from data_platform.errors import MissingExtra, SettingsError
from data_platform.settings import Settings
from readers.s3_errors import translating


def client(settings: Settings) -> Any:
    """Return a boto3 client for the endpoint in the settings; opens no connection to it.

    Raises
    ------
    MissingExtra
        If boto3 is not installed.
    SettingsError
        If endpoint or region make no address.
    AccessDenied
        If the credentials that are configured cannot be loaded.
    """
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
    except ImportError as error:
        message = 'Reading S3 needs boto3. Install it: pip install "data-platform[s3]".'
        raise MissingExtra(message, name=error.name) from error
    wanted, seconds = settings.s3, settings.http.timeout_seconds
    with translating("The S3 endpoint"):
        # A session of one's own: the default one is shared, and making it is not thread-safe.
        session = boto3.session.Session()
        signature = None if session.get_credentials() else UNSIGNED  # without any, public buckets can be read
        region = wanted.region or session.region_name or ("us-east-1" if wanted.endpoint else None)
        configuration = Config(
            connect_timeout=seconds,
            read_timeout=seconds,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=32,
            signature_version=signature,
            s3={"addressing_style": "path"} if wanted.endpoint else None,
        )
        try:
            return session.client("s3", endpoint_url=wanted.endpoint or None, region_name=region, config=configuration)
        except ValueError as error:
            message = "The setting s3.endpoint or s3.region is wrong. Write the endpoint as https://host:port."
            raise SettingsError(message) from error
