"""The least that a backup into a bucket has to do: read each file, hash it, put it under its hash.

Run as ``python -m benchmarks._put_loop ENDPOINT BUCKET FOLDER``, with keys in the environment as AWS names them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
from obstore.store import S3Store

THREADS = 8


def main() -> None:
    """Put all files below a folder."""
    endpoint, bucket, folder = sys.argv[1:]
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )

    def put(path: Path) -> None:
        content = path.read_bytes()
        obstore.put(store, f"objects/{hashlib.sha256(content).hexdigest()}", content, use_multipart=False)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, (path for path in Path(folder).rglob("*") if path.is_file())))


if __name__ == "__main__":
    main()
