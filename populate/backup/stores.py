"""Which stores there are, the replica among them."""

from __future__ import annotations

from typing import Any

from data_platform.errors import StoreUnavailable
from populate.lookup import lookup
from populate.reaching import WithinReach
from populate.store import Store
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


class OnStores(WithinReach):
    """Works on stores, one for each key; before `dj.Imported`."""

    def stores(self) -> list[Store]:
        """Return the stores of this worker that it is for. Raises `StoreUnavailable` if none answers."""
        raise NotImplementedError

    def out_of_reach(self) -> list[dict[str, Any]]:
        """Return the other stores, as restrictions; none is opened while no job waits.

        A store of this worker's own that does not answer just now is out of reach, too, and no reason to end.
        """
        if not len(self.jobs.pending):  # type: ignore[attr-defined]
            return []
        try:
            here = {identity("store", store.name) for store in self.stores()}
        except StoreUnavailable:
            here = set()
        return [{"store_id": other} for other in ContentStore.to_arrays("store_id").tolist() if other not in here]
