"""Which stores there are, the replica among them."""

from __future__ import annotations

from populate.lookup import lookup
from schemas.engine import dj
from schemas.identity import identity

schema = dj.Schema()


@schema
class ContentStore(dj.Manual):
    definition = """
    # A place where content is kept
    store_id : char(32) # identity of its name
    ---
    store_name : varchar(255) # as folder:/srv/store or s3:endpoint/bucket/prefix
    """


def record_store(store_name: str) -> str:
    """Enter a store unless it is known; return its identity."""
    store_id = identity("store", store_name)
    if not lookup(ContentStore, "store_id", store_id=(store_id,)):
        ContentStore.insert1({"store_id": store_id, "store_name": store_name}, skip_duplicates=True)
    return store_id
