"""What runs are about, as a computed table per delivery, and what a language model made of it.

What computes them is loaded by `make()`, so that workers start quickly.
"""

from __future__ import annotations

from typing import Any

from populate.ingest import Ingest  # noqa: F401  (foreign key)
from populate.lookup import add
from schemas.catalogue import Blob  # noqa: F401  (foreign key)
from schemas.code import RunCode
from schemas.engine import dj
from schemas.restrict import where
from schemas.sharing import AccessRun, Execution  # noqa: F401  (foreign key)

schema = dj.Schema()


@schema
class Description(dj.Computed):
    definition = """
    # The runs of a delivery were described from what their code says of itself
    -> Ingest
    ---
    described_count : int32 # runs
    """

    def make(self, key: dict[str, Any]) -> None:
        """Put together what each run is about."""
        from populate.describe.summary import facts_sha256, run_facts, run_summary

        codes = {row["execution_id"]: row for row in (RunCode() & key).to_dicts()}
        rows = []
        for run in (AccessRun() & key).to_dicts():
            facts = run_facts(run, codes.get(run["execution_id"]))
            told = {"run_summary": run_summary(facts), "facts_sha256": facts_sha256(facts)}
            rows.append({**key, "execution_id": run["execution_id"], **told})
        self.insert1({**key, "described_count": len(rows)})
        add(RunDescription, rows)


@schema
class RunDescription(dj.Manual):
    definition = """
    # What a run is about, as a delivery of its accesses tells; that of the first one is shown
    -> Description
    -> Execution
    ---
    run_summary : varchar(1000)
    facts_sha256 : char(64) # identity of what is known of its code
    index (execution_id)
    index (facts_sha256)
    """


@schema
class ContentFacts(dj.Manual):
    definition = """
    # What is known of the structure of a content
    -> Blob
    ---
    facts_sha256 : char(64) # identity of that
    index (facts_sha256)
    """


@schema
class Generated(dj.Manual):
    definition = """
    # What a language model made of facts: of code that says the same of itself it is asked once
    facts_sha256 : char(64)
    model_name : varchar(128)
    ---
    generated_text : varchar(1000)
    generated_at : datetime(6) # UTC
    """


@schema
class GeneratedFailed(dj.Manual):
    definition = """
    # A language model made nothing of facts
    facts_sha256 : char(64)
    model_name : varchar(128)
    failed_at : datetime(6) # UTC
    ---
    generation_failure : varchar(255) # why, secrets removed
    """


def forget(sha256: str) -> None:
    """Delete what a language model made of the structure of a content, unless others have the same; for good."""
    for facts in {str(row["facts_sha256"]) for row in where(ContentFacts, sha256=sha256).to_dicts()}:
        where(ContentFacts, sha256=sha256).delete_quick()
        if not len(where(ContentFacts, facts_sha256=facts)):
            where(Generated, facts_sha256=facts).delete_quick()
